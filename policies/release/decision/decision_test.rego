package release.decision_test

import data.release.decision
import rego.v1

source := {"version": "nafld/1", "dataset": "nafld", "classification": 3, "stewards": ["stella"]}

table := {
	"name": "outcomes",
	"kind": "table",
	"sql": "SELECT 1",
	"findings": [],
	"lineage": [source],
	"checks_completed": true,
	"protected": true,
}

asked := {
	"request": {"id": "R-1", "author": "ana", "project": "liver", "purpose": "report"},
	"parameters": {
		"min_contributors": 10,
		"dominance": {"n": 2, "k_percent": 90},
		"p_percent": 10,
		"max_cells": 10000,
		"regression": {
			"min_residual_df": 10,
			"max_leverage_percent": 50,
			"max_shift_percent": 100,
			"count_base": 10,
			"digits": 4,
		},
		"group_share_percent": 90,
		"small_cells_percent": 50,
		"small_cells_allowed": 5,
		"protect": true,
	},
	"items": [table],
	"now": "2026-11-23T00:00:00.000000Z",
}

with_item(changes) := object.union(asked, {"items": [object.union(table, changes)]})

file(name) := file_with(name, [finding("scanned", "info")])

file_with(name, findings) := with_item({"name": name, "kind": "file", "protected": false, "findings": findings})

finding(rule, severity) := {"rule": rule, "severity": severity, "cells": 1, "figures": {}}

codes(answer) := {reason.code | some reason in answer.reasons}

refused_with(question, code) if {
	found := decision.answer with input as question
	found.outcome == "refuse"
	code in codes(found)
	found.obligations.approvals == 2
}

reviewed_with(question, code) if {
	found := decision.answer with input as question
	found.outcome == "review"
	code in codes(found)
}

test_a_clean_sensitive_table_is_reviewed if {
	found := decision.answer with input as asked
	found.outcome == "review"
	found.obligations == {"approvals": 1, "stewards_of": ["nafld"], "protect": false}
}

test_a_clean_public_table_is_released if {
	public := object.union(source, {"classification": 1})
	found := decision.answer with input as with_item({"lineage": [public]})
	found.outcome == "release"
	codes(found) == {"automatic"}
}

test_restricted_data_needs_two_approvals if {
	restricted := object.union(source, {"classification": 4})
	strict := {"min_contributors": 20, "dominance": {"n": 1, "k_percent": 75}, "p_percent": 15, "max_cells": 5000}
	parameters := object.union(asked.parameters, strict)
	found := decision.answer with input as object.union(with_item({"lineage": [restricted]}), {"parameters": parameters})
	found.outcome == "review"
	found.obligations.approvals == 2
}

test_findings_that_refuse if {
	cases := {
		"raw_records": "raw_records",
		"identifier": "raw_records",
		"joint_exact": "collides",
		"joint_narrow": "collides",
		"endpoint": "refused_finding",
		"dominance": "not_protected",
		"brand_new": "unknown_rule",
	}
	every rule, code in cases {
		refused_with(with_item({"findings": [finding(rule, "fail")]}), code)
	}
}

test_small_cells_are_protected_first if {
	small := with_item({"protected": false, "findings": [finding("min_contributors", "fail")]})
	found := decision.answer with input as object.union(small, {"parameters": {"protect": false}})
	found.outcome == "review"
	found.obligations.protect
}

test_cells_that_fail_after_protection_was_tried_are_refused if {
	small := with_item({"protected": false, "findings": [finding("min_contributors", "fail")]})
	refused_with(small, "not_protected")
	unsaid := object.remove(asked.parameters, ["protect"])
	refused_with(object.union(object.remove(small, ["parameters"]), {"parameters": unsaid}), "not_protected")
}

test_what_was_suppressed_is_looked_at if {
	reviewed_with(with_item({"findings": [finding("min_contributors", "info")]}), "small_cells")
}

test_a_group_of_nearly_one_category_is_looked_at_by_a_person if {
	reviewed_with(with_item({"findings": [finding("group_share", "fail")]}), "group_share")
	hidden := decision.answer with input as with_item({"findings": [finding("group_share", "info")]})
	not "group_share" in codes(hidden)
	public := object.union(source, {"classification": 1})
	reviewed_with(with_item({"lineage": [public], "findings": [finding("group_share", "fail")]}), "group_share")
}

test_what_a_failed_group_share_leads_to_is_data if {
	given := with_item({"findings": [finding("group_share", "fail")]})
	found := decision.answer with input as given with data.data.rules.group_share as "refuse"
	found.outcome == "refuse"
	protected := decision.answer with input as given with data.data.rules.group_share as "protect"
	protected.outcome == "refuse"
	codes(protected) == {"not_protected"}
}

test_what_was_not_proven_is_looked_at if {
	reviewed_with(with_item({"findings": [finding("joint_not_proven", "warn")]}), "not_proven")
}

test_an_unknown_severity_is_refused if refused_with(with_item({"findings": [finding("zero", "mild")]}), "unknown_rule")

test_an_unfinished_check_is_refused if refused_with(with_item({"checks_completed": false}), "checks_incomplete")

test_nothing_without_lineage if refused_with(with_item({"lineage": []}), "no_lineage")

test_nothing_of_an_unknown_level if {
	refused_with(with_item({"lineage": [object.union(source, {"classification": 9})]}), "unknown_classification")
	refused_with(with_item({"lineage": [object.remove(source, ["classification"])]}), "unknown_classification")
}

test_weaker_parameters_are_refused if {
	cases := [
		{"min_contributors": 9},
		{"min_contributors": "10"},
		{"dominance": {"n": 1, "k_percent": 90}},
		{"dominance": {"n": 2, "k_percent": 91}},
		{"p_percent": 9},
		{"max_cells": 10001},
		{"group_share_percent": 91},
		{"small_cells_percent": 51},
		{"small_cells_allowed": 6},
		{"small_cells_allowed": null},
	]
	every changes in cases {
		question := object.union(asked, {"parameters": object.union(asked.parameters, changes)})
		refused_with(question, "parameters_differ")
	}
}

test_files_by_their_endings if {
	reviewed_with(file("notes.md"), "manual")
	refused_with(file("rows.csv"), "file_type")
	refused_with(file("rows"), "file_type")
	refused_with(file("notes.md.exe"), "file_type")
}

test_every_missing_field_refuses if {
	every field in ["request", "parameters", "items"] {
		refused_with(object.remove(asked, [field]), "input_incomplete")
	}
	every field in ["name", "kind", "findings", "lineage", "checks_completed", "protected"] {
		refused_with(object.union(asked, {"items": [object.remove(table, [field])]}), "input_incomplete")
	}
}

test_one_bad_item_refuses_all if {
	bad := object.union(table, {"name": "second", "findings": [finding("raw_records", "fail")]})
	refused_with(object.union(asked, {"items": [table, bad]}), "raw_records")
}

model(changes) := with_item(object.union({"kind": "regression", "protected": false}, changes))

figure(changes) := with_item(object.union({"kind": "figure"}, changes))

test_a_clean_regression_is_reviewed if {
	found := decision.answer with input as model({})
	found.outcome == "review"
	codes(found) == {"needs_review"}
}

test_a_regression_that_fails_cannot_be_protected if {
	every rule in {"min_contributors", "dominance", "degrees_of_freedom", "influence"} {
		refused_with(model({"findings": [finding(rule, "fail")]}), "not_protected")
	}
}

test_a_regression_that_tells_too_much_is_refused if {
	every rule in {"saturated", "separation", "degenerate", "unfit"} {
		refused_with(model({"findings": [finding(rule, "fail")]}), "refused_finding")
	}
	refused_with(model({"findings": [finding("joint_narrow", "fail")]}), "collides")
}

test_nearly_saturated_goes_to_a_person_even_on_public_data if {
	public := {"lineage": [object.union(source, {"classification": 1})], "findings": [finding("saturated", "warn")]}
	reviewed_with(model(public), "unusual")
}

test_weaker_parameters_for_a_regression_are_refused if {
	cases := [
		{"min_residual_df": 9},
		{"max_leverage_percent": 51},
		{"max_shift_percent": 101},
		{"count_base": 9},
		{"digits": 5},
		{"digits": "4"},
	]
	every changes in cases {
		weaker := object.union(asked.parameters, {"regression": object.union(asked.parameters.regression, changes)})
		refused_with(object.union(model({}), {"parameters": weaker}), "model_parameters_differ")
	}
	without := object.remove(asked.parameters, ["regression"])
	refused_with(object.union(object.remove(model({}), ["parameters"]), {"parameters": without}), "model_parameters_differ")
}

test_a_table_needs_no_parameters_for_regressions if {
	without := object.remove(asked.parameters, ["regression"])
	question := object.union(object.remove(asked, ["parameters"]), {"parameters": without})
	found := decision.answer with input as question
	found.outcome == "review"
}

test_a_figure_is_judged_as_its_table if {
	found := decision.answer with input as figure({})
	found.outcome == "review"
	refused_with(figure({"findings": [finding("min_contributors", "fail")]}), "not_protected")
	refused_with(figure({"findings": [finding("spec_refused", "fail")]}), "refused_finding")
	reviewed_with(figure({"findings": [finding("text_digits", "warn")]}), "unusual")
}

test_a_kind_that_nobody_knows_is_refused if {
	refused_with(with_item({"kind": "plot"}), "input_incomplete")
}

rounded(base) := with_item({"protection": {"method": "round", "base": base}})

noise := {
	"method": "noise",
	"epsilon": 0.5,
	"delta": 0.000001,
	"repeated": false,
	"spent": [{"version": "nafld/1", "epsilon": 1, "everybody": 2}],
}

noisy(changes) := with_item({"protection": object.union(noise, changes)})

test_a_rounded_table_is_seen_by_a_person if reviewed_with(rounded(15), "altered")

test_a_smaller_base_is_refused if {
	refused_with(rounded(10), "weaker_protection")
	refused_with(rounded("15"), "weaker_protection")
}

test_a_method_nobody_knows_is_refused if {
	refused_with(with_item({"protection": {"method": "guess"}}), "weaker_protection")
	refused_with(with_item({"protection": {}}), "weaker_protection")
}

test_a_level_that_asks_for_rounding_refuses_suppression if {
	row := object.union(data.data.protection.levels["3"], {"method": "round"})
	levels := {"3": row}
	found := decision.answer with input as asked with data.data.protection.levels as levels
	"weaker_protection" in codes(found)
	again := decision.answer with input as rounded(15) with data.data.protection.levels as levels
	again.outcome == "review"
}

test_noise_within_its_budget_is_seen_by_a_person if reviewed_with(noisy({}), "altered")

test_a_larger_epsilon_is_refused if {
	refused_with(noisy({"epsilon": 0.6}), "weaker_protection")
	refused_with(noisy({"epsilon": 0}), "weaker_protection")
	refused_with(noisy({"delta": 0.001}), "weaker_protection")
}

test_a_spent_budget_refuses if {
	refused_with(noisy({"spent": [{"version": "nafld/1", "epsilon": 2.6, "everybody": 2.6}]}), "budget_spent")
	refused_with(noisy({"spent": []}), "budget_spent")
	refused_with(noisy({"spent": [{"version": "nafld/1", "epsilon": "0", "everybody": 0}]}), "budget_spent")
	refused_with(noisy({"spent": [{"version": "nafld/1", "everybody": 0}]}), "budget_spent")
	refused_with(noisy({"spent": [{"version": "nafld/1", "epsilon": 0}]}), "budget_spent")
}

test_projects_share_what_all_of_them_may_spend if {
	refused_with(noisy({"spent": [{"version": "nafld/1", "epsilon": 0, "everybody": 5.6}]}), "budget_spent")
	reviewed_with(noisy({"spent": [{"version": "nafld/1", "epsilon": 0, "everybody": 5.5}]}), "altered")
}

test_the_same_answer_again_costs_nothing if {
	reviewed_with(noisy({"spent": [{"version": "nafld/1", "epsilon": 3, "everybody": 6}], "repeated": true}), "altered")
}
