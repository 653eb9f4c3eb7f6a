# METADATA
# title: Whether a notebook is run anew
# description: >-
#   A steward of the data may have a notebook of a request in review run top to bottom in a sealed container (action `ask`). Some levels
#   want that before anybody approves the notebook (action `approve`). The numbers are by level (`policies/data/reruns.json`); the
#   strictest level counts. Whether what differs matters is for the steward to say: it is shown, not judged.
package release.rerun

import data.lib.level
import data.lib.number
import data.lib.reason
import rego.v1

default allow := false

allow if {
	complete
	count(refusals) == 0
}

complete if {
	input.action in {"ask", "approve"}
	is_string(input.person.name)
	is_array(input.person.groups)
	is_string(input.request.author)
	is_string(input.request.state)
	is_string(input.request.project_state)
	is_object(input.request.stewards)
	is_array(input.request.classifications)
	count(input.request.classifications) > 0
	every found in input.request.classifications {
		level.known(found)
	}
	is_array(input.runs)
	every run in input.runs {
		run.state in {"waiting", "running", "done", "failed"}
	}
}

rows contains data.data.reruns[sprintf("%d", [found])] if {
	complete
	some found in input.request.classifications
}

# unless every level says no
default required := true

required := false if {
	count(rows) > 0
	every row in rows {
		row.required == false
	}
}

default seconds := 0

seconds := number.least({row.seconds | some row in rows}) if count(rows) > 0

default runs := 0

runs := number.least({row.runs | some row in rows}) if count(rows) > 0

a_steward if {
	"stewards" in input.person.groups
	some people in input.request.stewards
	input.person.name in people
}

ran if {
	some run in input.runs
	run.state == "done"
	is_string(run.result)
}

# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
refusals contains "input_incomplete" if not complete

# METADATA
# title: Who may have a notebook run anew
# description: It costs time, and what comes of it is made from the data. So a steward of the data asks for it, never its author.
# custom:
#   short_name: rerun_not_yours
#   message: A steward of the data has notebooks run anew, never their author.
#   remedy: Ask a steward of the data.
refusals contains "rerun_not_yours" if {
	input.action == "ask"
	not may_ask
}

may_ask if {
	a_steward
	input.person.name != input.request.author
}

# METADATA
# title: A notebook is run anew while it is reviewed
# description: Before and after, nobody needs it.
# custom:
#   short_name: rerun_not_now
#   message: Notebooks are run anew while their request is in review and its project active.
#   remedy: "Nothing to do: its page shows what it waits for."
refusals contains "rerun_not_now" if {
	input.action == "ask"
	not in_review
}

in_review if {
	input.request.state == "in_review"
	input.request.project_state == "active"
}

# METADATA
# title: One notebook is run a few times
# description: Each run takes the machine for minutes.
# custom:
#   short_name: rerun_often
#   message: This notebook was run as often as policy lets it be.
#   remedy: Decide on what the runs have shown, or return it.
refusals contains "rerun_often" if {
	input.action == "ask"
	count(input.runs) >= runs
}

# METADATA
# title: Some data wants notebooks run anew before they are approved
# description: A run that did not come to its end does not count.
# custom:
#   short_name: rerun_missing
#   message: A notebook on data of this classification is run anew before it is approved.
#   remedy: Have it run on its page, look at what differs, and approve then.
refusals contains "rerun_missing" if {
	input.action == "approve"
	required
	not ran
}

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"allow": allow,
	"reasons": [reason.of(code) | some code in sort(refusals)],
	"required": required,
	"seconds": seconds,
}
