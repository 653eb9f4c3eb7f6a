package release.form_test

import data.release.form
import rego.v1

asked := {
	"texts": {"title": 20, "purpose": 30, "context": 40},
	"items": [{"name": "table1", "kind": "table", "counted": true}, {"name": "model", "kind": "regression", "counted": false}],
}

stops(answer) := {[stop.where, stop.code] | some stop in answer.places}

test_a_good_request_is_sent if form.answer == {"allow": true, "reasons": [], "places": []} with input as asked

test_missing_words_stop if {
	cases := {"title": "no_title", "purpose": "no_purpose", "context": "no_context"}
	every word, code in cases {
		short := form.answer with input as object.union(asked, {"texts": {word: 1}})
		not short.allow
		stops(short) == {[word, code]}
		absent := form.answer with input as object.union(asked, {"texts": {word: null}})
		not absent.allow
		text := form.answer with input as object.union(asked, {"texts": {word: "long enough"}})
		not text.allow
	}
}

test_figures_without_their_count_stop if {
	every kind in {"table", "figure"} {
		every said in [{"counted": false}, {"counted": "true"}, {}] {
			item := object.union({"name": "means", "kind": kind}, said)
			found := form.answer with input as object.union(asked, {"items": [item]})
			not found.allow
			stops(found) == {["means", "no_count"]}
		}
	}
}

test_every_stop_has_its_reason if {
	found := form.answer with input as object.union(asked, {"texts": {"title": 0, "context": 0}})
	{one.code | some one in found.reasons} == {one.code | some one in found.places}
	every one in found.reasons {
		one.remedy != "Ask an administrator."
	}
}

test_an_incomplete_question_stops if {
	every broken in [{}, {"texts": 1, "items": []}, object.union(asked, {"items": []}), object.union(asked, {"items": [{"name": 1}]})] {
		found := form.answer with input as broken
		not found.allow
		["", "input_incomplete"] in stops(found)
	}
}
