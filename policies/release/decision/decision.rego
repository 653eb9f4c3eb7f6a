# METADATA
# title: What becomes of a release request
# description: >-
#   Python measured; this judges. Release needs every check completed and passed on data whose level allows it; anything a person must
#   see is reviewed; anything unknown, incomplete or forbidden is refused (invariant 8).
package release.decision

import data.lib.level
import data.lib.reason
import rego.v1

complete if {
	is_string(input.request.author)
	is_string(input.request.project)
	is_array(input.items)
	count(input.items) > 0
	is_object(input.parameters)
	every item in input.items {
		is_string(item.kind)
		is_array(item.findings)
		is_array(item.lineage)
		is_boolean(item.checks_completed)
		is_boolean(item.protected)
	}
}

levels := sort({source.classification | some item in input.items; some source in item.lineage})

datasets := sort({source.dataset | some item in input.items; some source in item.lineage})

# ---- what refuses ---------------------------------------------------------------------------------------------------
refusals contains "input_incomplete" if not complete

refusals contains "no_lineage" if {
	some item in input.items
	count(item.lineage) == 0
}

refusals contains "unknown_classification" if not level.known(levels)

refusals contains "unknown_classification" if {
	some item in input.items
	not level.known([source.classification | some source in item.lineage])
}

refusals contains "checks_incomplete" if {
	some item in input.items
	not item.checks_completed == true
}

refusals contains "unknown_rule" if {
	some item in input.items
	some finding in item.findings
	not data.data.rules[finding.rule]
}

refusals contains "unknown_rule" if {
	some item in input.items
	some finding in item.findings
	not finding.severity in {"info", "warn", "fail"}
}

# METADATA
# title: The numbers the checks ran with are at least as strict as the policy's
refusals contains "parameters_differ" if {
	some item in input.items
	item.kind == "table"
	not strict_enough
}

strict_enough if {
	input.parameters.min_contributors >= max(level.numbers(levels, "min_contributors"))
	input.parameters.dominance.k_percent <= min(level.numbers(levels, "dominance_k_percent"))
	input.parameters.dominance.n >= max(level.numbers(levels, "dominance_n"))
	input.parameters.p_percent >= max(level.numbers(levels, "p_percent"))
}

refusals contains code if {
	some item in input.items
	some finding in item.findings
	finding.severity == "fail"
	data.data.rules[finding.rule] == "refuse"
	code := refusal_code(finding.rule)
}

refusal_code(rule) := "raw_records" if {
	rule in {"raw_records", "identifier"}
} else := "collides" if {
	rule in {"joint_exact", "joint_narrow"}
} else := "refused_finding"

refusals contains "not_protected" if {
	some item in input.items
	item.protected == true
	some finding in item.findings
	finding.severity == "fail"
	data.data.rules[finding.rule] == "protect"
}

refusals contains "not_protected" if {
	some item in input.items
	item.kind != "table"
	some finding in item.findings
	finding.severity == "fail"
	data.data.rules[finding.rule] == "protect"
}

# METADATA
# title: The manual lane is closed to kinds of file that a level does not name
refusals contains "file_type" if {
	some item in input.items
	item.kind != "table"
	not file_allowed(item)
}

file_allowed(item) if {
	parts := split(lower(item.name), ".")
	count(parts) > 1
	extension := parts[count(parts) - 1]
	every source in item.lineage {
		extension in data.data.levels[sprintf("%d", [source.classification])].files
	}
}

# ---- what a person must see -----------------------------------------------------------------------------------------
protecting if {
	some item in input.items
	item.kind == "table"
	item.protected == false
	some finding in item.findings
	finding.severity == "fail"
	data.data.rules[finding.rule] == "protect"
}

reviews contains "small_cells" if protecting

reviews contains "small_cells" if {
	some item in input.items
	item.protected == true
	some finding in item.findings
	data.data.rules[finding.rule] == "protect"
}

reviews contains "not_proven" if {
	some item in input.items
	some finding in item.findings
	finding.rule == "joint_not_proven"
}

reviews contains "manual" if {
	some item in input.items
	item.kind != "table"
}

reviews contains "needs_review" if not automatic

automatic if {
	level.known(levels)
	every allowed in level.numbers(levels, "automatic") {
		allowed == true
	}
}

# ---- the answer -----------------------------------------------------------------------------------------------------
outcome := "refuse" if {
	count(refusals) > 0
} else := "review" if {
	count(reviews) > 0
} else := "release"

codes := refusals if {
	outcome == "refuse"
} else := reviews if {
	outcome == "review"
} else := {"automatic"}

default approvals := 2

approvals := max(level.numbers(levels, "approvals")) if level.known(levels)

default protect_first := false

protect_first if protecting

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"outcome": outcome,
	"reasons": reason.all(codes),
	"obligations": {"approvals": approvals, "stewards_of": datasets, "protect": protect_first},
}
