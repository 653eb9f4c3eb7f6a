package usage.quota_test

import data.usage.quota
import rego.v1

grant := {
	"id": 7,
	"version": "nafld/1",
	"quotas": {"cells": 100, "requests": 3, "released_cells": 50, "processor_seconds": 3600},
	"used": {"cells": 20, "requests": 2, "releases": 1, "released_cells": 20, "processor_seconds": 60},
}

asked := {"stage": "session", "grants": [grant], "adds": {}, "ends": []}

with_used(used) := object.union(asked, {"grants": [object.union(grant, {"used": used})]})

codes(answer) := {reason.code | some reason in answer.reasons}

test_within_the_quotas_work_goes_on if {
	found := quota.answer with input as asked
	found.allow
	found.left == {"cells": 80, "processor_seconds": 3540}
	found.spent == set()
	found.near == set()
}

test_a_reached_quota_refuses if {
	found := quota.answer with input as with_used({"cells": 100})
	not found.allow
	codes(found) == {"quota_spent"}
	found.spent == {{"grant": 7, "version": "nafld/1", "name": "cells"}}
	found.left.cells == 0
}

test_one_is_warned_before if {
	found := quota.answer with input as with_used({"cells": 80})
	found.allow
	found.near == {{"grant": 7, "version": "nafld/1", "name": "cells"}}
}

test_the_last_request_fits_and_no_other if {
	last := object.union(asked, {"stage": "submit", "adds": {"requests": 1, "releases": 0}})
	quota.allow with input as last
	after := object.union(with_used({"requests": 3}), {"stage": "submit", "adds": {"requests": 1, "releases": 0}})
	not quota.allow with input as after
}

test_what_a_release_holds_must_fit if {
	leaving := object.union(asked, {"stage": "release", "adds": {"releases": 1, "released_cells": 30}})
	quota.allow with input as leaving
	more := object.union(asked, {"stage": "release", "adds": {"releases": 1, "released_cells": 31}})
	not quota.allow with input as more
}

test_a_second_grant_never_widens_the_first if {
	wide := object.union(grant, {"id": 8, "quotas": {"cells": 100000}})
	spent := object.union(grant, {"used": {"cells": 100}})
	found := quota.answer with input as object.union(asked, {"grants": [spent, wide]})
	not found.allow
	found.left.cells == 0
}

test_the_end_is_announced if {
	soon := [{"name": "grant 7", "seconds": 1800}, {"name": "project", "seconds": 1801}, {"name": "odd", "seconds": "1"}]
	found := quota.answer with input as object.union(asked, {"ends": soon})
	found.ending == {"grant 7"}
}

test_every_missing_fact_refuses if {
	every field in ["stage", "grants", "adds"] {
		found := quota.answer with input as object.remove(asked, [field])
		not found.allow
		codes(found) == {"input_incomplete"}
	}
	every field in ["id", "version", "quotas", "used"] {
		not quota.allow with input as object.union(asked, {"grants": [object.remove(grant, [field])]})
	}
	not quota.allow with input as object.union(asked, {"stage": "lunch"})
	not quota.allow with input as {}
}

test_without_a_quota_everything_fits if {
	free := object.union(asked, {"grants": [{"id": 1, "version": "nafld/1", "quotas": {}, "used": {}}]})
	found := quota.answer with input as free
	found.allow
	found.left == {}
}
