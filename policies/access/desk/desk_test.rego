package access.desk_test

import data.access.desk
import rego.v1

request := {
	"author": "ana",
	"project_members": ["ana", "bo"],
	"project_state": "active",
	"state": "in_review",
	"stewards": {"nafld": ["stella"]},
}

project := {"name": "liver", "state": "active", "expires_at": "2027-01-01", "members": ["ana", "bo"]}

people := {
	"ana": ["analysts"],
	"bo": ["analysts"],
	"eve": ["analysts"],
	"stella": ["stewards"],
	"stan": ["stewards"],
	"adam": ["admins"],
	"audrey": ["auditors"],
	"zoe": [],
}

question(name, action) := {
	"person": {"name": name, "groups": people[name]},
	"action": action,
	"request": request,
	"release": {"revoked": false},
	"dataset": {"stewards": ["stella"]},
	"account": {"name": "nora", "known": true, "password": false},
	"sandbox": {"stewards": {"nafld": ["stella", "ana"]}},
	"now": "2026-11-23",
}

allowed_to(action) := {name |
	some name, _ in people
	desk.allow with input as question(name, action)
}

codes(answer) := {reason.code | some reason in answer.reasons}

test_who_may_do_what if {
	expected := {
		"submit": {"ana"},
		"view_request": {"ana", "stella", "audrey"},
		"withdraw": {"ana"},
		"download": {"ana", "bo"},
		"revoke": {"stella"},
		"view_ledger": {"audrey"},
		"view_admin": {"adam", "audrey"},
		"view_sessions": {"adam", "audrey", "stella", "stan"},
		"view_trail": {"audrey", "stella"},
		"view_dataset": {"adam", "audrey", "stella"},
		"view_twin_report": {"adam", "stella"},
		"view_shelf": {"adam", "ana", "bo", "eve"},
		"view_package_requests": {"adam"},
		"register_dataset": {"adam"},
		"manage_projects": {"adam"},
		"stop_sandbox": {"adam"},
		"manage_people": {"adam"},
		"describe_dataset": {"stella"},
		"grant": {"stella"},
		"revoke_grant": {"stella"},
		"destroy_version": {"stella"},
		"something_new": set(),
	}
	every action, names in expected {
		allowed_to(action) == names
	}
}

managing(account) := object.union(object.remove(question("adam", "manage_people"), {"account"}), {"account": account})

test_nobody_changes_their_own_account if {
	own := desk.answer with input as managing({"name": "adam", "known": true, "password": false})
	not own.allow
	codes(own) == {"own_account"}
}

test_only_a_name_that_nobody_had_gets_a_password if {
	desk.allow with input as managing({"name": "nils", "known": false, "password": true})
	known := desk.answer with input as managing({"name": "stella", "known": true, "password": true})
	not known.allow
	codes(known) == {"known_account"}
}

test_an_account_of_which_too_little_is_said_is_left_alone if {
	every account in [{}, {"name": null, "known": false}, {"name": "nora"}, {"name": "nora", "known": "no"}] {
		not desk.allow with input as managing(account)
	}
	not desk.allow with input as object.remove(question("adam", "manage_people"), {"account"})
}

submitting(name, changes) := {
	"person": {"name": name, "groups": people[name]},
	"action": "submit",
	"project": object.union(project, changes),
	"now": "2026-11-23",
}

test_members_submit_into_open_projects if {
	desk.allow with input as submitting("bo", {})
	not desk.allow with input as submitting("stella", {"members": ["stella"]})
}

test_why_a_submission_is_refused if {
	cases := {
		"project_not_active": submitting("ana", {"state": "frozen"}),
		"project_expired": submitting("ana", {"expires_at": "2026-01-01"}),
		"not_a_member": submitting("eve", {}),
		"not_the_author": question("bo", "submit"),
	}
	every code, asked in cases {
		found := desk.answer with input as asked
		not found.allow
		codes(found) == {code}
	}
}

test_a_revoked_release_is_not_downloaded if {
	found := desk.answer with input as object.union(question("ana", "download"), {"release": {"revoked": true}})
	not found.allow
	codes(found) == {"revoked"}
}

test_a_frozen_project_gives_no_copies if {
	frozen := object.union(question("ana", "download"), {"request": object.union(request, {"project_state": "frozen"})})
	found := desk.answer with input as frozen
	not found.allow
	codes(found) == {"project_frozen"}
	unknown := object.remove(question("ana", "download"), ["request"])
	not desk.allow with input as object.union(unknown, {"request": object.remove(request, ["project_state"])})
}

test_a_steward_with_a_stake_does_not_revoke if {
	asked := object.union(question("stella", "revoke"), {"request": object.union(request, {"project_members": ["stella"]})})
	found := desk.answer with input as asked
	not found.allow
	codes(found) == {"own_project"}
}

unexplained contains [name, action] if {
	some name, _ in people
	some action in ["submit", "download", "revoke", "view_ledger", "something_new"]
	found := desk.answer with input as question(name, action)
	not found.allow
	count(found.reasons) == 0
}

test_every_refusal_has_a_reason if count(unexplained) == 0

test_missing_facts_refuse if {
	every field in ["person", "action"] {
		found := desk.answer with input as object.remove(question("audrey", "view_ledger"), [field])
		not found.allow
		codes(found) == {"input_incomplete"}
	}
	not desk.allow with input as object.remove(question("ana", "withdraw"), ["request"])
	not desk.allow with input as object.remove(question("ana", "download"), ["release"])
	every action in ["grant", "view_dataset", "view_twin_report"] {
		not desk.allow with input as object.remove(question("stella", action), ["dataset"])
	}
}
