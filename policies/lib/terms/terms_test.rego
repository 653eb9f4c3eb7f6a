package lib.terms_test

import data.lib.terms
import rego.v1

test_sensitive_and_restricted_data_ask_for_basis_and_plan if {
	every level in [3, 4] {
		terms.of_level(level) == ["legal_basis", "output_plan"]
	}
}

test_an_unknown_level_asks_for_nothing_that_could_be_met if {
	not terms.of_level(5)
	not terms.of_level("3")
	not terms.of_level(3) with data.data.terms as {"3": "legal_basis"}
}
