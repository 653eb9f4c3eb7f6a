# METADATA
# title: Whether an approved request may leave now
# description: >-
#   Asked at the last moment, after every approval: what happened to the project in between counts. A frozen or closed project lets
#   nothing leave; what was approved stays approved and leaves when the project is active again.
package release.leave

import data.lib.number
import data.lib.reason
import rego.v1

# METADATA
# title: May this request leave now
default allow := false

allow if {
	complete
	count(refusals) == 0
}

complete if {
	is_string(input.request.id)
	is_string(input.request.state)
	is_string(input.project.name)
	is_string(input.project.state)
}

# ---- the cooling-off: time in which another steward can still object, or the author take it back ---------------------------
known_levels if {
	is_array(input.request.classifications)
	every level in input.request.classifications {
		is_number(minutes_of(level))
	}
}

minutes_of(level) := data.data.reviews[sprintf("%d", [level])].cooling_off_minutes

waits contains 0

waits contains minutes_of(level) * 60 if some level in input.request.classifications

must_wait := number.greatest(waits)

# automatic releases have nobody to object
cooled_off if {
	known_levels
	input.request.approved_seconds == null
}

cooled_off if {
	known_levels
	is_number(input.request.approved_seconds)
	input.request.approved_seconds >= must_wait
}

default wait_seconds := 0

wait_seconds := ceil(must_wait - input.request.approved_seconds) if {
	known_levels
	is_number(input.request.approved_seconds)
	input.request.approved_seconds < must_wait
}

project_active if input.project.state == "active"

approved if input.request.state in {"approved", "releasing"}

# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
refusals contains "input_incomplete" if not complete

# METADATA
# title: The project is active
# description: A frozen or closed project lets nothing leave.
# custom:
#   short_name: project_not_active
refusals contains "project_not_active" if not project_active

# METADATA
# title: The request is approved
# description: Nothing leaves without the decision that lets it.
# custom:
#   short_name: not_approved
#   message: The request is not approved.
#   remedy: "Nothing to do: its page shows what it waits for."
refusals contains "not_approved" if not approved

# METADATA
# title: The cooling-off is over
# description: Data of some levels leaves a while after the last approval, so that there is time to object.
# custom:
#   short_name: cooling_off
#   message: It is approved, and leaves once the cooling-off is over.
#   remedy: "Nothing to do. Until then another steward can object, and the author can take it back."
refusals contains "cooling_off" if not cooled_off

# METADATA
# title: The answer
# entrypoint: true
answer := {"allow": allow, "reasons": [reason.of(code) | some code in sort(refusals)], "wait_seconds": wait_seconds}
