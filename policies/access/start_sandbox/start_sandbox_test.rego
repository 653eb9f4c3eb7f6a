package access.start_sandbox_test

import data.access.start_sandbox
import rego.v1

given := {
	"id": 7,
	"version": "nafld/1",
	"dataset": "nafld",
	"classification": 3,
	"purpose": "study livers",
	"expires_at": "2027-01-01T00:00:00.000000Z",
	"revoked_at": null,
	"version_state": "available",
	"kept_until": null,
	"stewards": ["stella"],
	"quotas": {},
	"used": {},
}

asked := {
	"person": {"name": "ana", "groups": ["analysts"]},
	"project": {
		"name": "liver",
		"state": "active",
		"expires_at": "2027-01-01T00:00:00.000000Z",
		"purpose": "study livers",
		"members": ["ana"],
		"assessed": data.data.assessment["4"],
		"stated": ["legal_basis", "output_plan"],
	},
	"grants": [given],
	"now": "2026-11-23T00:00:00.000000Z",
}

with_grant(changes) := object.union(asked, {"grants": [object.union(given, changes)]})

with_project(changes) := object.union(asked, {"project": object.union(asked.project, changes)})

codes(answer) := {reason.code | some reason in answer.reasons}

test_a_member_with_a_grant_starts if {
	found := start_sandbox.answer with input as asked
	found.allow
	found.grants == {7}
	found.view == "guarded"
	found.limits.bytes_per_hour > 0
	count(found.reasons) == 0
}

levels_with(changes) := {level: object.union(row, object.get(changes, level, {})) |
	some level, row in data.data.levels
}

test_the_sandbox_gets_the_narrowest_limits_of_what_it_mounts if {
	other := object.union(given, {"id": 8, "version": "icu/1", "dataset": "icu", "classification": 2})
	question := object.union(asked, {"grants": [given, other]})
	changes := {
		"2": {"sandbox_memory_bytes": 1000, "sandbox_processor_percent": 50},
		"3": {"sandbox_memory_bytes": 900, "sandbox_processes": 64},
		"4": {"sandbox_memory_bytes": 1},
	}
	found := start_sandbox.answer with input as question with data.data.levels as levels_with(changes)
	found.allow
	found.limits.memory_bytes == 900
	found.limits.processor_percent == 50
	found.limits.processes == 64
}

test_without_a_limit_the_installation_s_own_stands if {
	found := start_sandbox.answer with input as asked
	found.limits.memory_bytes == 0
	found.limits.processes == 0
}

test_each_condition_of_the_person_and_project_refuses if {
	cases := {
		"not_a_member": object.union(asked, {"person": {"name": "eve", "groups": ["analysts"]}}),
		"not_an_analyst": object.union(asked, {"person": {"name": "ana", "groups": ["stewards"]}}),
		"project_not_active": with_project({"state": "frozen"}),
		"project_expired": with_project({"expires_at": "2026-11-23T00:00:00.000000Z"}),
		"no_grant": object.union(asked, {"grants": []}),
	}
	every code, question in cases {
		found := start_sandbox.answer with input as question
		not found.allow
		codes(found) == {code}
	}
}

test_each_condition_of_a_grant_refuses if {
	cases := {
		"grant_expired": {"expires_at": "2026-11-22T23:59:59.999999Z"},
		"grant_revoked": {"revoked_at": "2026-11-01T00:00:00.000000Z"},
		"grant_other_purpose": {"purpose": "marketing"},
		"version_destroyed": {"version_state": "destroyed"},
		"unknown_classification": {"classification": 5},
		"retention_over": {"kept_until": "2026-11-22"},
	}
	every code, changes in cases {
		found := start_sandbox.answer with input as with_grant(changes)
		not found.allow
		codes(found) == {code}
		found.view == "blind"
		found.limits == {}
	}
}

test_every_missing_field_refuses if {
	every field in ["person", "project", "grants", "now"] {
		not start_sandbox.allow with input as object.remove(asked, [field])
	}
	every field in ["state", "expires_at", "purpose", "members", "assessed", "stated"] {
		not start_sandbox.allow with input as object.union(
			object.remove(asked, ["project"]),
			{"project": object.remove(asked.project, [field])},
		)
	}
	every field in ["id", "version", "classification", "purpose", "expires_at", "revoked_at", "version_state", "kept_until", "quotas", "used"] {
		not start_sandbox.allow with input as object.union(asked, {"grants": [object.remove(given, [field])]})
	}
}

test_on_the_last_day_the_data_is_still_there if {
	start_sandbox.allow with input as with_grant({"kept_until": "2026-11-23"})
	not start_sandbox.allow with input as with_grant({"kept_until": 2030})
}

test_an_incomplete_question_is_named if {
	found := start_sandbox.answer with input as {}
	"input_incomplete" in codes(found)
}

test_only_grants_in_force_are_mounted if {
	over := object.union(given, {"id": 8, "expires_at": "2026-01-01T00:00:00.000000Z"})
	found := start_sandbox.answer with input as object.union(asked, {"grants": [given, over]})
	found.allow
	found.grants == {7}
	found.left_out == {[8, "grant_expired"]}
}

test_a_version_whose_quota_is_used_up_is_not_mounted if {
	question := with_grant({"quotas": {"sessions": 5}, "used": {"sessions": 5}})
	found := start_sandbox.answer with input as question
	not found.allow
	codes(found) == {"quota_spent"}
	allowed := with_grant({"quotas": {"sessions": 5}, "used": {"sessions": 4}})
	start_sandbox.allow with input as allowed
}

test_a_second_grant_does_not_widen_the_first if {
	first := object.union(given, {"quotas": {"cells": 10}, "used": {"cells": 10}})
	second := object.union(given, {"id": 8})
	found := start_sandbox.answer with input as object.union(asked, {"grants": [first, second]})
	not found.allow
	found.grants == set()
}

test_the_project_s_other_data_is_still_mounted if {
	spent := object.union(given, {"quotas": {"cells": 10}, "used": {"cells": 11}})
	other := object.union(given, {"id": 8, "version": "icu/1", "dataset": "icu"})
	found := start_sandbox.answer with input as object.union(asked, {"grants": [spent, other]})
	found.allow
	found.grants == {8}
	found.left_out == {[7, "quota_spent"]}
}

test_a_grant_may_cap_the_memory_of_each_sandbox if {
	found := start_sandbox.answer with input as with_grant({"quotas": {"memory_bytes": 1000000}})
	found.allow
	found.limits.memory_bytes == 1000000
}

on_twin(twin) := object.union(with_grant({"classification": 4, "twin": twin}), {"works_on": "twin"})

test_a_twin_is_seen_by_its_own_level if {
	found := start_sandbox.answer with input as on_twin({"version": "nafld-twin/1", "classification": 2})
	found.allow
	found.view == "open"
	data_itself := start_sandbox.answer with input as with_grant({"classification": 4})
	data_itself.view == "blind"
}

test_without_a_twin_there_is_no_session_on_one if {
	every twin in [null, {}, {"version": "nafld-twin/1"}, {"version": "nafld-twin/1", "classification": 9}] {
		found := start_sandbox.answer with input as on_twin(twin)
		not found.allow
		"no_twin" in codes(found)
	}
}

test_nothing_else_is_worked_on if {
	every what in ["both", "", null, ["twin"]] {
		found := start_sandbox.answer with input as object.union(asked, {"works_on": what})
		not found.allow
	}
}

test_data_of_each_level_needs_every_item_of_its_checklist if {
	some_cases := {[level, item] | some level in [1, 2, 3, 4]; some item in data.data.assessment[sprintf("%d", [level])]}
	every case in some_cases {
		asked_for := object.union(with_grant({"classification": case[0]}), {"project": object.union(
			asked.project,
			{"assessed": [each | some each in data.data.assessment["4"]; each != case[1]]},
		)})
		found := start_sandbox.answer with input as asked_for
		not found.allow
		codes(found) == {"not_assessed"}
	}
	whole := object.union(asked.project, {"assessed": data.data.assessment["4"]})
	start_sandbox.allow with input as object.union(with_grant({"classification": 4}), {"project": whole})
}

test_a_level_without_a_checklist_is_never_assessed if {
	found := start_sandbox.answer with input as asked with data.data.assessment as {"1": [], "2": [], "4": []}
	not found.allow
	codes(found) == {"not_assessed"}
}

test_sensitive_data_needs_a_legal_basis_and_an_output_plan if {
	cases := {"no_legal_basis": ["output_plan"], "no_output_plan": ["legal_basis"]}
	every level in [3, 4] {
		every code, stated in cases {
			question := object.union(with_grant({"classification": level}), with_project_only({"stated": stated}))
			found := start_sandbox.answer with input as question
			not found.allow
			codes(found) == {code}
		}
	}
}

with_project_only(changes) := {"project": object.union(asked.project, changes)}

test_public_and_internal_data_need_neither if {
	every level in [1, 2] {
		question := object.union(with_grant({"classification": level}), with_project_only({"stated": []}))
		start_sandbox.allow with input as question
	}
}

test_the_strictest_of_several_counts if {
	internal := object.union(given, {"id": 8, "version": "icu/1", "dataset": "icu", "classification": 2})
	question := object.union(with_project({"stated": []}), {"grants": [internal, given]})
	found := start_sandbox.answer with input as question
	codes(found) == {"no_legal_basis", "no_output_plan"}
}

test_a_level_without_terms_or_with_an_unknown_one_refuses if {
	none := start_sandbox.answer with input as with_project({"stated": []}) with data.data.terms as {"1": []}
	codes(none) == {"no_legal_basis", "no_output_plan"}
	odd := start_sandbox.answer with input as asked with data.data.terms as {"3": ["blessing"]}
	codes(odd) == {"unknown_term"}
}
