package lib.reason_test

import data.lib.reason
import rego.v1

test_a_known_reason_has_its_words if {
	found := reason.of("no_grant")
	found.code == "no_grant"
	found.message == "No data is granted to this project."
}

test_an_unknown_reason_still_has_words if {
	found := reason.of("brand_new")
	found.message != ""
	found.remedy != ""
}
