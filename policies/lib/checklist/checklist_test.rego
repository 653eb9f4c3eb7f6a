package lib.checklist_test

import data.lib.checklist
import rego.v1

test_only_numbers_of_levels_have_a_checklist if {
	checklist.there(3)
	every level in [0, 5, "3", null] {
		not checklist.there(level)
		not checklist.of_level(level)
	}
}

test_items_of_any_level_are_known if {
	checklist.known("purpose_needs_it")
	checklist.known("incident_plan")
	not checklist.known("purpose")
}
