# METADATA
# title: Entering a workbench
# description: Only the person a sandbox was made for enters it; no role, not even an admin's, changes that (invariant 2).
package session.sign_in

import data.lib.reason
import rego.v1

# METADATA
# title: Is this the owner
default allow := false

allow if {
	is_string(input.person.name)
	input.person.name != ""
	input.person.name == input.sandbox.owner
}

# METADATA
# title: Only the owner enters
# description: A workbench is one person's, for one project.
# custom:
#   short_name: not_the_owner
#   message: This workbench belongs to somebody else.
#   remedy: Open your own from the hub's home page.
codes contains "not_the_owner" if not allow

# METADATA
# title: The answer
# entrypoint: true
answer := {"allow": allow, "reasons": [reason.of(code) | some code in sort(codes)]}
