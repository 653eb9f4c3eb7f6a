package lib.number_test

import data.lib.number
import rego.v1

test_least_orders_numbers_not_words if number.least({9, 10, 100}) == 9

test_greatest_orders_numbers_not_words if number.greatest({9, 10, 100}) == 100

test_nothing_has_no_least if not number.least(set())

test_nothing_has_no_greatest if not number.greatest(set())

test_zero_is_no_budget if number.smallest_set({0, 20000000, 5000000}) == 5000000

test_no_budget_is_zero if number.smallest_set({0}) == 0
