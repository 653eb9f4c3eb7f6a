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

codes contains "not_the_owner" if not allow

# METADATA
# title: The answer
# entrypoint: true
answer := {"allow": allow, "reasons": reason.all(codes)}
