# METADATA
# title: Which outputs of a notebook leave
# description: >-
#   A notebook leaves without its outputs. An output leaves with it where every level of the data lets outputs of its type leave, no
#   check found anything in it, everybody who approved the notebook approved the output too, and they are as many as the levels ask for
#   (`policies/data/cells.json`). Asked when it is checked, for the page, and again when it leaves.
package release.cells

import data.lib.level
import data.lib.number
import data.lib.reason
import rego.v1

complete if {
	is_array(input.classifications)
	count(input.classifications) > 0
	every found in input.classifications {
		level.known(found)
	}
	is_array(input.outputs)
	is_array(input.reviews)
	every review in input.reviews {
		is_string(review.reviewer)
		is_string(review.verdict)
		is_array(review.approved)
	}
}

rows contains data.data.cells[sprintf("%d", [found])] if {
	complete
	some found in input.classifications
}

# the types that every level names
types contains type if {
	some row in rows
	some type, _ in row.approvals
	every other in rows {
		is_number(other.approvals[type])
	}
}

wanted contains {"type": type, "approvals": row.approvals[type]} if {
	some type in types
	some row in rows
	every other in rows {
		other.approvals[type] <= row.approvals[type]
	}
}

default characters := 0

characters := number.least({row.characters | some row in rows}) if count(rows) > 0

# ---- what keeps an output from being approved -------------------------------------------------------------------------
# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
refusals contains {"id": output.id, "code": "input_incomplete"} if {
	some output in input.outputs
	not complete
}

refusals contains {"id": output.id, "code": "input_incomplete"} if {
	some output in input.outputs
	not readable(output)
}

readable(output) if {
	is_string(output.id)
	is_string(output.type)
	is_array(output.findings)
	is_number(output.characters)
	is_number(output.bits)
}

# METADATA
# title: The level lets outputs of this type leave
# description: Each level names the types of outputs that a person may approve; all others are stripped.
# custom:
#   short_name: output_type
#   message: Outputs of this type do not leave data of this classification.
#   remedy: "Ask for a table or a figure as SQL: the gate recomputes it."
refusals contains {"id": output.id, "code": "output_type"} if {
	some output in input.outputs
	not may_leave(output)
}

may_leave(output) if output.type in types

# METADATA
# title: No records of single people in an output
# description: The release door lets aggregates out, never rows.
# custom:
#   short_name: output_records
#   message: It holds records of single people.
#   remedy: Ask for an aggregate as SQL.
refusals contains {"id": output.id, "code": "output_records"} if {
	some output in input.outputs
	"raw_records" in output.findings
}

refusals contains {"id": output.id, "code": "output_records"} if {
	some output in input.outputs
	output.bits >= number.least(record_bits)
}

record_bits contains data.data.scans[sprintf("%d", [found])].record_bits if some found in input.classifications

# METADATA
# title: An output can be read
# description: What has neither text nor a picture that could be written anew cannot be looked at as it would leave.
# custom:
#   short_name: output_unreadable
#   message: It has neither plain text nor a picture that can be written anew.
#   remedy: Print it as text, or show it as a plain PNG.
refusals contains {"id": output.id, "code": "output_unreadable"} if {
	some output in input.outputs
	"unreadable" in output.findings
}

# METADATA
# title: Nothing in an output hides from the eye
# description: Characters that nobody sees can carry figures past a reader.
# custom:
#   short_name: output_hidden
#   message: It has characters that cannot be seen.
#   remedy: Print plain text.
refusals contains {"id": output.id, "code": "output_hidden"} if {
	some output in input.outputs
	"hidden_characters" in output.findings
}

# METADATA
# title: An output is short enough to be read
# description: Nobody reads a text of many pages line by line.
# custom:
#   short_name: output_long
#   message: It is longer than a person can check.
#   remedy: Print less, or ask for a table as SQL.
refusals contains {"id": output.id, "code": "output_long"} if {
	some output in input.outputs
	output.characters > characters
}

# METADATA
# title: Every finding about an output is known
# description: A finding that nobody foresaw is never taken for harmless.
# custom:
#   short_name: output_finding
#   message: A check found something in it that may not leave.
#   remedy: Leave it out.
refusals contains {"id": output.id, "code": "output_finding"} if {
	some output in input.outputs
	some finding in output.findings
	not finding in {"raw_records", "unreadable", "hidden_characters"}
}

refused_ids contains refusal.id if some refusal in refusals

codes_of(id) := sort({refusal.code | some refusal in refusals; refusal.id == id})

off := [{"id": id, "reasons": [reason.of(code) | some code in codes_of(id)]} | some id in sort(refused_ids)]

# ---- what leaves ------------------------------------------------------------------------------------------------------
approving contains review if {
	some review in input.reviews
	review.verdict == "approve"
}

reviewers contains review.reviewer if some review in approving

leaves contains output.id if {
	complete
	some output in input.outputs
	not output.id in refused_ids
	some want in wanted
	want.type == output.type
	want.approvals > 0
	count(reviewers) >= want.approvals
	every review in approving {
		output.id in review.approved
	}
}

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"types": sort(types),
	"approvals": [want | some type in sort(types); some want in wanted; want.type == type],
	"off": off,
	"leaves": sort(leaves),
}
