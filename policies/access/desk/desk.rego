# METADATA
# title: Actions on the review desk, the analyst API and the command line
# description: >-
#   Who may submit, see, withdraw, download, revoke, register, grant and read the ledger. Deciding on a request is asked of
#   release/review. An action that no rule names is refused.
package access.desk

import data.lib.reason
import rego.v1

complete if {
	is_string(input.person.name)
	input.person.name != ""
	is_array(input.person.groups)
	is_string(input.action)
}

# METADATA
# title: May this person do this
default allow := false

allow if {
	complete
	permitted
}

# ---- who somebody is, to what they ask about --------------------------------------------------------------------------
is_analyst if "analysts" in input.person.groups

is_steward if "stewards" in input.person.groups

is_admin if "admins" in input.person.groups

is_auditor if "auditors" in input.person.groups

is_author if {
	is_string(input.request.author)
	input.person.name == input.request.author
}

is_member if input.person.name in input.request.project_members

steward_of_lineage if {
	is_steward
	some names in input.request.stewards
	input.person.name in names
}

steward_of_dataset if {
	is_steward
	input.person.name in input.dataset.stewards
}

disinterested if {
	is_string(input.request.author)
	input.person.name != input.request.author
	is_array(input.request.project_members)
	count({name | some name in input.request.project_members; name == input.person.name}) == 0
}

project_open if {
	project_active
	project_running
	project_member
}

in_force if {
	input.release.revoked == false
	not_frozen
}

not_frozen if input.request.project_state in {"active", "closed"}

# ---- what follows -------------------------------------------------------------------------------------------------------
# METADATA
# title: Submitting into an open project of one's own
permitted if {
	input.action == "submit"
	is_analyst
	project_open
}

# METADATA
# title: A new revision of one's own request
permitted if {
	input.action == "submit"
	is_analyst
	is_author
	is_member
}

# METADATA
# title: Seeing a request one wrote, or whose data one stewards, or as an auditor
permitted if {
	input.action == "view_request"
	is_author
}

permitted if {
	input.action == "view_request"
	steward_of_lineage
}

permitted if {
	input.action == "view_request"
	is_auditor
}

# METADATA
# title: Taking back one's own request
permitted if {
	input.action == "withdraw"
	is_author
}

# METADATA
# title: What was released is for the project that asked
permitted if {
	input.action == "download"
	is_author
	in_force
}

permitted if {
	input.action == "download"
	is_analyst
	is_member
	in_force
}

# METADATA
# title: Stopping further downloads
permitted if {
	input.action == "revoke"
	steward_of_lineage
	disinterested
}

# METADATA
# title: Reading the ledger
permitted if {
	input.action == "view_ledger"
	is_auditor
}

# METADATA
# title: Running the installation
permitted if {
	input.action in {"register_dataset", "manage_projects", "stop_sandbox", "view_admin", "view_sessions"}
	is_admin
}

# METADATA
# title: Who has an account and in which role
# description: >-
#   Nobody makes themselves something else; another administrator does. Nobody gets a password to somebody's account: it would
#   let an administrator decide as a steward or see data as an analyst.
permitted if {
	input.action == "manage_people"
	is_admin
	is_string(input.account.name)
	not own_account
	stays_whose_it_is
}

stays_whose_it_is if input.account.password == false

stays_whose_it_is if input.account.known == false

own_account if input.account.name == input.person.name

# METADATA
# title: Supervising the installation
permitted if {
	input.action in {"view_admin", "view_sessions"}
	is_auditor
}

permitted if {
	input.action == "view_sessions"
	is_steward
}

# METADATA
# title: What was run on data is for its stewards and for auditors
permitted if {
	input.action == "view_trail"
	is_auditor
}

permitted if {
	input.action == "view_trail"
	is_steward
	some names in input.sandbox.stewards
	input.person.name in names
}

# METADATA
# title: A steward disposes of their own data
permitted if {
	input.action in {"describe_dataset", "grant", "revoke_grant", "destroy_version"}
	steward_of_dataset
}

# METADATA
# title: What a dataset is, is for its stewards and for who runs and supervises the installation
permitted if {
	input.action == "view_dataset"
	steward_of_dataset
}

permitted if {
	input.action == "view_dataset"
	is_admin
}

permitted if {
	input.action == "view_dataset"
	is_auditor
}

# METADATA
# title: How close a synthetic twin came
# description: It is taken from the data without noise, so that it is for the data's stewards and administrators alone.
permitted if {
	input.action == "view_twin_report"
	steward_of_dataset
}

permitted if {
	input.action == "view_twin_report"
	is_admin
}

# METADATA
# title: What lies on the package shelf, for who works with it
permitted if {
	input.action == "view_shelf"
	is_analyst
}

# METADATA
# title: Every project's requests for packages, for who answers them
permitted if {
	input.action in {"view_shelf", "view_package_requests"}
	is_admin
}

# ---- why not --------------------------------------------------------------------------------------------------------
# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
codes contains "input_incomplete" if not complete

# METADATA
# title: A revoked release gives no more copies
# description: Copies that were taken cannot be recalled; further ones are stopped.
# custom:
#   short_name: revoked
#   message: The release was revoked.
#   remedy: Ask the steward who revoked it.
codes contains "revoked" if {
	input.action == "download"
	input.release.revoked == true
}

# METADATA
# title: A frozen project gives no copies
# description: A freeze stops everything that leaves, also copies of what was released before.
# custom:
#   short_name: project_frozen
#   message: The project is frozen.
#   remedy: Ask an administrator why, and when it goes on.
codes contains "project_frozen" if {
	input.action == "download"
	is_string(input.request.project_state)
	not not_frozen
}

# METADATA
# title: Some actions are the author's alone
# description: Withdrawing and revising belong to who asked.
# custom:
#   short_name: not_the_author
#   message: Only the author may do this.
#   remedy: Ask the author.
codes contains "not_the_author" if {
	not allow
	input.action in {"withdraw", "submit"}
	is_string(input.request.author)
	not is_author
}

# METADATA
# title: Some actions are not for those who profit
# description: Author and members of the project have a stake.
# custom:
#   short_name: own_project
codes contains "own_project" if {
	not allow
	input.action == "revoke"
	steward_of_lineage
	not disinterested
}

# METADATA
# title: Nobody changes their own account
# description: Role and account of an administrator are another administrator's to change.
# custom:
#   short_name: own_account
#   message: It is your own account.
#   remedy: Ask another administrator.
codes contains "own_account" if {
	input.action == "manage_people"
	is_admin
	own_account
}

# METADATA
# title: An account stays whose it is
# description: Only an account that nobody had yet gets a password here; a known one gets it from who owns the machine.
# custom:
#   short_name: known_account
#   message: The name is somebody's already, and who sets its password could act in their name.
#   remedy: "Ask the operator of the machine: ./glovebox user add NAME --role ROLE --reset."
codes contains "known_account" if {
	input.action == "manage_people"
	is_admin
	input.account.password == true
	input.account.known == true
}

project_active if input.project.state == "active"

project_running if {
	is_string(input.now)
	is_string(input.project.expires_at)
	input.now < input.project.expires_at
}

project_member if input.person.name in input.project.members

# METADATA
# title: The project is active
# description: A frozen or closed project asks for nothing.
# custom:
#   short_name: project_not_active
codes contains "project_not_active" if {
	input.action == "submit"
	is_string(input.project.state)
	not project_active
}

# METADATA
# title: The project is not over
# description: Every project has an end; at that moment it is over.
# custom:
#   short_name: project_expired
codes contains "project_expired" if {
	input.action == "submit"
	is_string(input.project.expires_at)
	not project_running
}

# METADATA
# title: The person is a member of the project
# description: Membership is given by name, and ends with its removal.
# custom:
#   short_name: not_a_member
codes contains "not_a_member" if {
	input.action == "submit"
	is_array(input.project.members)
	not project_member
}

# METADATA
# title: The role does not include this
# description: Said when nothing more precise is known.
# custom:
#   short_name: wrong_role
#   message: Your role does not include this.
#   remedy: Ask an administrator which role you need.
vague contains "wrong_role" if not allow

answered contains code if some code in codes

answered contains code if {
	count(codes) == 0
	some code in vague
}

# METADATA
# title: The answer
# entrypoint: true
answer := {"allow": allow, "reasons": [reason.of(code) | some code in sort(answered)]}
