# METADATA
# title: Actions on the review desk and the analyst API
# description: >-
#   Who may submit, see, withdraw, download, revoke and read the ledger. Deciding on a request is asked of release/review. An action that
#   no rule names is refused.
package access.desk

import data.lib.reason
import rego.v1

complete if {
	is_string(input.person.name)
	input.person.name != ""
	is_array(input.person.groups)
	is_string(input.action)
}

is_author if input.person.name == input.request.author

is_member if input.person.name in input.request.project_members

in_group(name) if name in input.person.groups

steward_of_data if {
	in_group("stewards")
	some _, names in input.request.stewards
	input.person.name in names
}

disinterested if {
	not is_author
	not is_member
}

# METADATA
# title: May this person do this
default allow := false

allow if {
	complete
	permitted
}

# METADATA
# title: Submitting into a project, or a new revision of one's own request
permitted if {
	input.action == "submit"
	in_group("analysts")
	not input.request
	input.person.name in input.project.members
	input.project.state == "active"
	input.now < input.project.expires_at
}

permitted if {
	input.action == "submit"
	in_group("analysts")
	is_author
	is_member
}

permitted if {
	input.action == "view_request"
	is_author
}

permitted if {
	input.action == "view_request"
	steward_of_data
}

permitted if {
	input.action == "view_request"
	in_group("auditors")
}

permitted if {
	input.action == "withdraw"
	is_author
}

# METADATA
# title: What was released is for the project that asked
permitted if {
	input.action == "download"
	may_receive
	input.release.revoked == false
}

may_receive if is_author

may_receive if {
	in_group("analysts")
	is_member
}

# METADATA
# title: Stopping further downloads
permitted if {
	input.action == "revoke"
	steward_of_data
	disinterested
}

permitted if {
	input.action == "view_ledger"
	in_group("auditors")
}

permitted if {
	input.action in {"register_dataset", "manage_projects", "view_admin"}
	in_group("admins")
}

permitted if {
	input.action in {"view_admin", "view_sessions"}
	in_group("auditors")
}

permitted if {
	input.action == "view_sessions"
	in_group("stewards")
}

permitted if {
	input.action == "grant"
	in_group("stewards")
	input.person.name in input.dataset.stewards
}

# ---- why not --------------------------------------------------------------------------------------------------------
codes contains "input_incomplete" if not complete

codes contains "revoked" if {
	input.action == "download"
	input.release.revoked == true
}

codes contains "not_the_author" if {
	not allow
	input.action in {"withdraw", "submit", "download"}
	input.request
	not is_author
}

codes contains "own_request" if {
	not allow
	input.action == "revoke"
	is_author
}

codes contains "wrong_role" if {
	not allow
	not input.action in {"withdraw", "download"}
}

# METADATA
# title: The answer
# entrypoint: true
answer := {"allow": allow, "reasons": reason.all(codes)}
