# METADATA
# title: Comparing numbers
# description: >-
#   `min`, `max` and `sort` of the in-process engine order numbers as if they were words (9 after 10), so that the rules use
#   comparisons only. The contract tests hold both engines to the same answers.
package lib.number

import rego.v1

# METADATA
# title: The smallest of a set
# description: Undefined for an empty one.
least(numbers) := number if {
	some number in numbers
	every other in numbers {
		number <= other
	}
}

# METADATA
# title: The largest of a set
# description: Undefined for an empty one.
greatest(numbers) := number if {
	some number in numbers
	every other in numbers {
		number >= other
	}
}

# METADATA
# title: The smallest of several budgets
# description: 0 is metered without a limit, so that it never is the smallest; nothing else left means 0.
smallest_set(budgets) := least(budgets - {0}) if {
	count(budgets - {0}) > 0
} else := 0
