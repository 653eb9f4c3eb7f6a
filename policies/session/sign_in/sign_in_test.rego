package session.sign_in_test

import data.session.sign_in
import rego.v1

test_the_owner_enters if {
	sign_in.answer == {"allow": true, "reasons": []} with input as {"person": {"name": "ana"}, "sandbox": {"owner": "ana"}}
}

test_nobody_else_enters if {
	every person in [{"name": "bo"}, {"name": "adam", "groups": ["admins"]}, {"name": ""}, {}] {
		found := sign_in.answer with input as {"person": person, "sandbox": {"owner": "ana"}}
		not found.allow
		found.reasons[0].code == "not_the_owner"
	}
}

test_two_missing_names_are_not_the_same_person if not sign_in.allow with input as {"person": {}, "sandbox": {}}

test_two_empty_names_are_not_the_same_person if {
	not sign_in.allow with input as {"person": {"name": ""}, "sandbox": {"owner": ""}}
}
