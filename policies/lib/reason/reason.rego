# METADATA
# title: Reasons
# description: The one shape of a reason and the one place of its words (`policies/data/messages.json`).
package lib.reason

import rego.v1

# METADATA
# title: A reason by its code
# description: An unknown code still gives a reason, because a refusal without words helps nobody.
of(code) := {"code": code, "message": message[0], "remedy": message[1]} if {
	message := data.data.messages[code]
}

of(code) := {"code": code, "message": code, "remedy": "Ask an administrator."} if not data.data.messages[code]

# METADATA
# title: Reasons of a set of codes, in a stable order
all(codes) := [of(code) | some code in sort(codes)]
