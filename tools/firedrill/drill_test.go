package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/scenario"
)

func TestDrillSelection(t *testing.T) {
	all := []scenario.Scenario{{Name: "host-lost"}, {Name: "bucket-lost"}, {Name: "data-damaged"}}
	for name, c := range map[string]struct {
		chosen      string
		pause       bool
		focus, says string
		environment []string
	}{
		"all":            {},
		"one":            {chosen: "host-lost", focus: "recovered from: host-lost$"},
		"one by people":  {chosen: "host-lost", pause: true, focus: "recovered from: host-lost$", environment: []string{"FIREDRILL_PAUSE=1"}},
		"a surprise":     {chosen: "surprise", focus: "recovered from: " + scenario.Surprise(all, 7).Name + "$", environment: []string{"FIREDRILL_SEED=7"}},
		"none of them":   {chosen: "flood", says: `--scenario: no scenario "flood": choose one of host-lost, bucket-lost, data-damaged`},
		"all by people":  {pause: true, says: "--pause needs a single scenario"},
		"part of a name": {chosen: "host", says: `no scenario "host"`},
	} {
		t.Run(name, func(t *testing.T) {
			var p proof
			err := p.rehearse(all, c.chosen, 7, c.pause)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("said %v, want %q", err, c.says)
				}
				return
			}
			if err != nil || p.focus != c.focus || !slices.Equal(p.environment, c.environment) {
				t.Errorf("chose %q with %q (%v), want %q with %q", p.focus, p.environment, err, c.focus, c.environment)
			}
		})
	}
}
