package lib.quota_test

import data.lib.quota
import rego.v1

grant := {"quotas": {"sessions": 5, "cells": 10, "memory_bytes": 1000}, "used": {"sessions": 4, "cells": 10}}

test_what_is_reached_is_spent if quota.spent(grant, "start", {}) == {"cells"}

test_one_more_must_fit if {
	over := object.union(grant, {"used": {"sessions": 5, "cells": 0}})
	quota.spent(over, "start", {}) == {"sessions"}
}

test_what_is_added_counts if {
	found := {"quotas": {"released_cells": 100}, "used": {"released_cells": 60}}
	quota.spent(found, "release", {"released_cells": 40}) == set()
	quota.spent(found, "release", {"released_cells": 41}) == {"released_cells"}
	quota.spent(found, "release", {"released_cells": 0}) == set()
}

test_only_the_stage_s_names_count if quota.spent(grant, "submit", {}) == set()

test_an_unknown_name_never_fits if {
	quota.spent({"quotas": {"wishes": 3}, "used": {}}, "start", {}) == {"wishes"}
}

test_a_number_that_is_none_never_fits if {
	every case in [
		{"quotas": {"cells": "10"}, "used": {"cells": 0}},
		{"quotas": {"cells": 10}, "used": {"cells": "0"}},
		{"quotas": {"cells": null}, "used": {"cells": 0}},
		{"quotas": {"cells": 10}, "used": {}},
		{"quotas": {"cells": -1}, "used": {"cells": -5}},
		{"quotas": {"cells": 10}, "used": {"cells": -5}},
	] {
		quota.spent(case, "session", {}) == {"cells"}
	}
}

test_a_negative_addition_never_fits if {
	found := {"quotas": {"released_cells": 100}, "used": {"released_cells": 0}}
	quota.spent(found, "release", {"released_cells": -1}) == {"released_cells"}
}

test_what_is_left_is_never_below_nothing if {
	quota.left(grant, "sessions") == 1
	quota.left(grant, "cells") == 0
	quota.left(grant, "requests") == 0
	quota.left({"quotas": {"cells": "10"}, "used": {"cells": 0}}, "cells") == 0
}

test_quotas_and_use_must_be_stated if {
	quota.stated(grant)
	not quota.stated({"quotas": {}})
	not quota.stated({"used": {}})
}
