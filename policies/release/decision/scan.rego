# Texts that were compared with the data: how much of it they may name, by classification (`policies/data/scans.json`). What the scan found
# changes an author's answer only where it is much: every text is reviewed anyway, by as many people, for the same reason, so that the
# answer to a single guess is no answer.
package release.decision

import data.lib.number
import rego.v1

scan_rows contains data.data.scans[sprintf("%d", [source.classification])] if some source in sources

most_records contains row.records if some row in scan_rows

record_bits contains row.record_bits if some row in scan_rows

most_values contains row.values if some row in scan_rows

value_bits contains row.value_bits if some row in scan_rows

encoded_bytes contains row.encoded_bytes if some row in scan_rows

pictures := {"png", "jpg", "jpeg"}

# what a person may look at is compared with the data first, but for pictures, which hold no text
texts contains item if {
	some item in others
	file_allowed(item)
	parts := split(lower(item.name), ".")
	not parts[count(parts) - 1] in pictures
}

scan_findings contains finding if {
	some item in others
	some finding in item.findings
	finding.rule in {"record_match", "raw_values"}
}

# METADATA
# title: A text does not hold the data
# description: >-
#   Many records, those counted that this project took out in texts before; many lines that agree with records; or many values of one column
#   that only few people have, more than numbers of their size would be by chance. One answer for all: it does not say which.
# custom:
#   short_name: resembles_data
#   message: A text resembles the data too closely.
#   remedy: "Leave out what was copied from the data; ask for its figures as SQL: GROUP BY with count, sum or avg."
refusals contains "resembles_data" if {
	some finding in scan_findings
	not tolerated(finding)
}

tolerated(finding) if {
	finding.rule == "record_match"
	few_records(finding.figures)
	is_number(finding.figures.together)
	finding.figures.together < number.least(record_bits)
}

tolerated(finding) if {
	finding.rule == "raw_values"
	is_array(finding.figures.columns)
	every column in finding.figures.columns {
		few_values(column)
	}
}

few_records(figures) if {
	is_number(figures.records)
	is_number(figures.earlier)
	figures.records + figures.earlier < number.least(most_records)
}

few_records(figures) if {
	is_number(figures.bits)
	figures.bits < number.least(record_bits)
}

few_values(column) if {
	is_number(column.values)
	column.values < number.least(most_values)
}

few_values(column) if {
	is_number(column.bits)
	column.bits < number.least(value_bits)
}

# METADATA
# title: A text hides nothing
# description: Base64 or hexadecimal that does not decode to text is as unreadable as an archive.
# custom:
#   short_name: encoded
#   message: A text holds encoded bytes that nobody can read.
#   remedy: Leave them out, or write them as text.
refusals contains "encoded" if {
	some item in others
	some finding in item.findings
	finding.rule == "encoded"
	not short_code(finding.figures)
}

short_code(figures) if {
	is_number(figures.bytes)
	figures.bytes <= number.least(encoded_bytes)
}

# METADATA
# title: A text was compared with the data
# description: A text that was not looked at is never taken for clean. One that was looked at in part is for the steward, who sees how much.
# custom:
#   short_name: not_scanned
#   message: A text was not compared with the data.
#   remedy: Submit it again; if it stays so, tell an administrator.
refusals contains "not_scanned" if {
	some item in texts
	not looked_at(item)
}

looked_at(item) if {
	some finding in item.findings
	finding.rule in {"scanned", "not_fully_scanned"}
}

# what a person could not read is refused for that already
looked_at(item) if {
	some finding in item.findings
	finding.rule == "unreadable"
	finding.severity == "fail"
}
