# METADATA
# title: What becomes of a release request
# description: >-
#   Python measured; this judges. Release needs every check completed and passed on data whose level allows it; anything a person must
#   see is reviewed; anything unknown, incomplete or forbidden is refused (invariant 8). What a rule's finding leads to stands in
#   `policies/data/rules.json`.
package release.decision

import data.lib.level
import data.lib.number
import data.lib.reason
import rego.v1

complete if {
	is_string(input.request.author)
	is_string(input.request.project)
	is_string(input.request.purpose)
	is_array(input.items)
	count(input.items) > 0
	is_object(input.parameters)
	count(incomplete_items) == 0
}

incomplete_items contains index if {
	some index, item in input.items
	not item_complete(item)
}

item_complete(item) if {
	is_string(item.name)
	item.kind in {"table", "file", "figure", "regression"}
	is_array(item.findings)
	is_array(item.lineage)
	is_boolean(item.checks_completed)
	is_boolean(item.protected)
	every source in item.lineage {
		is_string(source.version)
		is_string(source.dataset)
	}
}

sources contains source if {
	some item in input.items
	some source in item.lineage
}

datasets contains source.dataset if some source in sources

rows contains level.row(source.classification) if some source in sources

tables contains item if {
	some item in input.items
	item.kind in {"table", "figure", "regression"}
}

models contains item if {
	some item in input.items
	item.kind == "regression"
}

others := {item | some item in input.items} - tables

# every finding, with the outcome that its rule asks for
found contains [item.name, finding, data.data.rules[finding.rule]] if {
	some item in input.items
	some finding in item.findings
}

failed contains [name, finding, kind] if {
	some [name, finding, kind] in found
	finding.severity == "fail"
}

# ---- what refuses ---------------------------------------------------------------------------------------------------
# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
refusals contains "input_incomplete" if not complete

# METADATA
# title: It is known which data an output comes from
# description: Without lineage nobody knows whose rules hold.
# custom:
#   short_name: no_lineage
#   message: It is not known which data this comes from.
#   remedy: Ask for a table as SQL over the granted tables.
refusals contains "no_lineage" if {
	some item in input.items
	count(item.lineage) == 0
}

# METADATA
# title: All data has a known level
# description: Data of an unknown level has no rules, so nothing made from it may leave.
# custom:
#   short_name: unknown_classification
refusals contains "unknown_classification" if {
	some source in sources
	not source_known(source)
}

source_known(source) if level.known(source.classification)

# METADATA
# title: Every check was completed
# description: A check that crashed or ran out of time proves nothing.
# custom:
#   short_name: checks_incomplete
#   message: A check could not be completed.
#   remedy: Submit again; if it stays so, make the table smaller.
refusals contains "checks_incomplete" if {
	some item in input.items
	not checked(item)
}

checked(item) if item.checks_completed == true

# METADATA
# title: Every finding is of a known rule and severity
# description: A finding that nobody foresaw is never taken for harmless.
# custom:
#   short_name: unknown_rule
#   message: A check reported something that no rule knows.
#   remedy: An administrator has to bring the policies up to date; nothing leaves until then.
refusals contains "unknown_rule" if {
	some item in input.items
	some finding in item.findings
	not rule_known(finding)
}

rule_known(finding) if {
	data.data.rules[finding.rule] in {"note", "protect", "review", "refuse"}
	finding.severity in {"info", "warn", "fail"}
}

# METADATA
# title: The numbers the checks ran with are at least as strict as the policy's
# description: Parameters may have changed between check and decision; the stricter ones count.
# custom:
#   short_name: parameters_differ
#   message: The checks ran with other parameters than the policy's.
#   remedy: Submit again; if it stays so, tell an administrator.
refusals contains "parameters_differ" if {
	count(tables) > 0
	not strict_enough
}

min_contributors contains row.min_contributors if some row in rows

dominance_n contains row.dominance_n if some row in rows

dominance_k contains row.dominance_k_percent if some row in rows

p_percent contains row.p_percent if some row in rows

max_cells contains row.max_cells if some row in rows

group_share contains row.group_share_percent if some row in rows

small_cells_percent contains row.small_cells_percent if some row in rows

small_cells_allowed contains row.small_cells_allowed if some row in rows

strict_enough if {
	# a text is larger than every number, so that a mistyped one would pass for strict
	is_number(input.parameters.min_contributors)
	is_number(input.parameters.dominance.n)
	is_number(input.parameters.dominance.k_percent)
	is_number(input.parameters.p_percent)
	is_number(input.parameters.max_cells)
	is_number(input.parameters.group_share_percent)
	is_number(input.parameters.small_cells_percent)
	is_number(input.parameters.small_cells_allowed)
	input.parameters.min_contributors >= number.greatest(min_contributors)
	input.parameters.dominance.n >= number.greatest(dominance_n)
	input.parameters.dominance.k_percent <= number.least(dominance_k)
	input.parameters.p_percent >= number.greatest(p_percent)
	input.parameters.max_cells <= number.least(max_cells)
	input.parameters.group_share_percent <= number.least(group_share)
	input.parameters.small_cells_percent <= number.least(small_cells_percent)
	input.parameters.small_cells_allowed <= number.least(small_cells_allowed)
}

# METADATA
# title: The numbers a regression was judged with are at least as strict as the policy's
# description: Degrees of freedom, leverage, influence and rounding have rows of their own, by level.
# custom:
#   short_name: model_parameters_differ
#   message: The regression was judged with other parameters than the policy's.
#   remedy: Submit again; if it stays so, tell an administrator.
refusals contains "model_parameters_differ" if {
	count(models) > 0
	not strict_models
}

model_rows contains data.data.regressions[sprintf("%d", [source.classification])] if some source in sources

residual_df contains row.min_residual_df if some row in model_rows

leverage contains row.max_leverage_percent if some row in model_rows

shift contains row.max_shift_percent if some row in model_rows

count_base contains row.count_base if some row in model_rows

digits contains row.digits if some row in model_rows

strict_models if {
	is_number(input.parameters.regression.min_residual_df)
	is_number(input.parameters.regression.max_leverage_percent)
	is_number(input.parameters.regression.max_shift_percent)
	is_number(input.parameters.regression.count_base)
	is_number(input.parameters.regression.digits)
	input.parameters.regression.min_residual_df >= number.greatest(residual_df)
	input.parameters.regression.max_leverage_percent <= number.least(leverage)
	input.parameters.regression.max_shift_percent <= number.least(shift)
	input.parameters.regression.count_base >= number.greatest(count_base)
	input.parameters.regression.digits <= number.least(digits)
}

# METADATA
# title: No records of single people
# description: The release door lets aggregates out, never rows.
# custom:
#   short_name: raw_records
#   message: The output holds records of single people.
#   remedy: "Ask for an aggregate: GROUP BY with count, sum or avg."
refusals contains "raw_records" if {
	some [_, finding, "refuse"] in failed
	finding.rule in {"raw_records", "identifier"}
}

# METADATA
# title: Nothing that earlier releases make disclosive
# description: Releases are judged together (invariant 7).
# custom:
#   short_name: collides
#   message: Together with tables already released, this one would disclose a small group.
#   remedy: Ask for the breakdown that was already released, or combine categories.
refusals contains "collides" if {
	some [_, finding, "refuse"] in failed
	finding.rule in {"joint_exact", "joint_narrow"}
}

# METADATA
# title: No finding that forbids release
# description: Other rules whose failure means no.
# custom:
#   short_name: refused_finding
#   message: A check found something that may not leave.
#   remedy: See the findings of each item.
refusals contains "refused_finding" if {
	some [_, finding, "refuse"] in failed
	not finding.rule in {"raw_records", "identifier", "joint_exact", "joint_narrow"}
}

# METADATA
# title: Small and dominated cells are protected
# description: Where suppression was tried and cells still fail, or where it cannot be done, nothing leaves.
# custom:
#   short_name: not_protected
#   message: Some cells rest on too few people or are dominated by one, and could not be protected.
#   remedy: Combine categories, or ask for fewer breakdowns.
refusals contains "not_protected" if {
	some item in input.items
	some finding in item.findings
	finding.severity == "fail"
	data.data.rules[finding.rule] == "protect"
	not protectable(item)
}

# Protection is still to come only where the checks ran without it; where it was tried, what fails stays failed.
protectable(item) if {
	item.kind in {"table", "figure"}
	item.protected == false
	input.parameters.protect == false
}

# METADATA
# title: The manual lane is open to this kind of file
# description: Each level names the kinds of file that a person may look at; all others stay.
# custom:
#   short_name: file_type
#   message: Files of this kind may not leave data of this classification.
#   remedy: "Ask for a table as SQL instead: the gate recomputes and writes it."
refusals contains "file_type" if {
	some item in others
	not file_allowed(item)
}

file_allowed(item) if {
	parts := split(lower(item.name), ".")
	count(parts) > 1
	extension := parts[count(parts) - 1]
	count(item.lineage) > 0
	every source in item.lineage {
		extension in data.data.levels[sprintf("%d", [source.classification])].files
	}
}

# METADATA
# title: Protected at least as policy asks
# description: >-
#   Cells left out, figures rounded, or noise: the least is policy's by classification. A rounding to a smaller base, a larger epsilon
#   and a method that nobody knows are weaker.
# custom:
#   short_name: weaker_protection
#   message: The table is protected less than its classification asks for.
#   remedy: Leave the protection out of the request; the policy's own is then used.
refusals contains "weaker_protection" if {
	count(rows) > 0
	some item in tables
	not protected_enough(item)
}

says_how(item) if item.protection

protected_enough(item) if {
	not says_how(item)
	"suppress" in methods_allowed
}

protected_enough(item) if {
	item.protection.method == "suppress"
	"suppress" in methods_allowed
}

protected_enough(item) if {
	item.protection.method == "round"
	"round" in methods_allowed
	is_number(item.protection.base)
	item.protection.base >= number.greatest(bases)
}

protected_enough(item) if {
	item.protection.method == "noise"
	"noise" in methods_allowed
	is_number(item.protection.epsilon)
	item.protection.epsilon > 0
	item.protection.epsilon <= number.least(epsilons)
	is_number(item.protection.delta)
	item.protection.delta * 1000000 <= number.least(deltas)
}

ways contains data.data.protection.levels[sprintf("%d", [source.classification])] if some source in sources

bases contains way.rounding_base if some way in ways

epsilons contains way.epsilon if some way in ways

budgets contains way.epsilon_budget if some way in ways

totals contains way.epsilon_total if some way in ways

deltas contains way.delta_per_million if some way in ways

ranks contains data.data.protection.methods[way.method] if some way in ways

methods_allowed contains name if {
	count(ways) > 0
	some name, rank in data.data.protection.methods
	rank >= number.greatest(ranks)
}

# METADATA
# title: Noise stays within its budget
# description: >-
#   Each release with noise costs epsilon, per dataset version and project, and per dataset version over all projects, so that nobody
#   gains by splitting. What was released before is not paid again when the very same table is asked for: it gets the same answer.
# custom:
#   short_name: budget_spent
#   message: The privacy budget for this data is spent.
#   remedy: Use what was released already; the same table asked for again gets the same answer and costs nothing.
refusals contains "budget_spent" if {
	some item in tables
	item.protection.method == "noise"
	not within_budget(item)
}

within_budget(item) if item.protection.repeated == true

within_budget(item) if {
	count(item.protection.spent) > 0
	every charge in item.protection.spent {
		is_number(charge.epsilon)
		is_number(charge.everybody)
		charge.epsilon + item.protection.epsilon <= number.least(budgets)
		charge.everybody + item.protection.epsilon <= number.least(totals)
	}
}

# ---- what a person must see -----------------------------------------------------------------------------------------
default protecting := false

protecting if {
	some item in tables
	protectable(item)
	some finding in item.findings
	finding.severity == "fail"
	data.data.rules[finding.rule] == "protect"
}

# METADATA
# title: A person sees what was suppressed
# description: Suppression changes the table; a steward looks at what is left.
# custom:
#   short_name: small_cells
#   message: Some cells rest on too few people or are dominated by one; they will be suppressed.
#   remedy: Look at the preview; combine categories to keep more cells.
reviews contains "small_cells" if {
	some [_, _, "protect"] in found
}

# METADATA
# title: A person sees what was rounded or given noise
# description: The figures that leave are not the ones that were counted.
# custom:
#   short_name: altered
#   message: The figures are rounded or carry noise, so that they say nothing of single people.
#   remedy: Look at how far they are from what was counted.
reviews contains "altered" if {
	some item in tables
	item.protection.method in {"round", "noise"}
}

# METADATA
# title: A person decides what could not be proven
# description: The audit ended without proof in either direction.
# custom:
#   short_name: not_proven
#   message: It could not be proven in time that this is safe together with earlier releases.
#   remedy: A steward looks at it; fewer cells make the proof easier.
reviews contains "not_proven" if {
	some [_, finding, "review"] in found
	finding.rule == "joint_not_proven"
}

# METADATA
# title: A person looks at groups that are nearly all of one category
# description: Whoever knows that somebody is in the group knows the category nearly for certain. The share is policy's, by classification.
# custom:
#   short_name: group_share
#   message: In a group almost everybody is in one category.
#   remedy: Group wider, or leave that breakdown out; a steward looks at it as it is.
reviews contains "group_share" if {
	some [_, finding, "review"] in failed
	finding.rule == "group_share"
}

# METADATA
# title: A person looks at what is unusual in a regression or a figure
# description: A model close to saturation, digits in a figure's words. Automatic levels stop here too.
# custom:
#   short_name: unusual
#   message: Something in a regression or a figure needs a person's look.
#   remedy: "Nothing to do: a steward looks at it."
reviews contains "unusual" if {
	some [_, finding, _] in found
	finding.rule in {"saturated", "text_digits"}
	finding.severity == "warn"
}

# METADATA
# title: A person looks at what the gate cannot recompute
# description: The manual lane.
# custom:
#   short_name: manual
#   message: The gate cannot recompute this output, so a person looks at it.
#   remedy: A table asked for as SQL is decided faster.
reviews contains "manual" if count(others) > 0

# METADATA
# title: A steward decides unless the level allows release without one
# description: Only levels whose data says so are automatic, and only without any finding to look at.
# custom:
#   short_name: needs_review
#   message: A steward of the data has to decide.
#   remedy: "Nothing to do: you see the decision here."
reviews contains "needs_review" if not automatic

automatic if {
	count(rows) > 0
	every row in rows {
		row.automatic == true
	}
	count(failed) == 0
}

# ---- the answer -----------------------------------------------------------------------------------------------------
# METADATA
# title: Nothing stands against it
# description: Said when a request leaves without a review.
# custom:
#   short_name: automatic
#   message: Every check passed and the data's classification allows release without a review.
#   remedy: Download it.
passes contains "automatic" if automatic

default outcome := "refuse"

outcome := "review" if {
	count(refusals) == 0
	count(reviews) > 0
}

outcome := "release" if {
	count(refusals) == 0
	count(reviews) == 0
	automatic
}

codes contains code if {
	outcome == "refuse"
	some code in refusals
}

codes contains code if {
	outcome == "review"
	some code in reviews
}

codes contains code if {
	outcome == "release"
	some code in passes
}

wanted contains row.approvals if some row in rows

# some kinds of output need more eyes, by level
wanted contains more if {
	some item in input.items
	some source in item.lineage
	more := data.data.reviews[sprintf("%d", [source.classification])].approvals[item.kind]
}

default approvals := 2

approvals := number.greatest(wanted) if count(refusals) == 0

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"outcome": outcome,
	"reasons": [reason.of(code) | some code in sort(codes)],
	"obligations": {"approvals": approvals, "stewards_of": sort(datasets), "protect": protecting},
}
