package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/scenario"
)

const (
	recoverySuite = "e2e/recovery"
	scenariosFile = "scenarios.yml"
	surprise      = "surprise"
)

// gameDay is how long an exercise may take that people have a part in: the four hours that they have, and what is before
// and after.
const gameDay = 5 * time.Hour

// The environment variables that tell the exercises how they are to go.
const (
	pauseVariable = "FIREDRILL_PAUSE"
	seedVariable  = "FIREDRILL_SEED"
)

func drillCommand() *cobra.Command {
	p := proof{suites: []string{"./" + recoverySuite}}
	var chosen string
	var seed uint64
	var pause bool
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Rehearse disasters: be paged, follow the runbook, and measure RTO and RPO against objectives",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := scenario.Load(filepath.Join(recoverySuite, scenariosFile))
			if err != nil {
				return err
			}
			if chosen == surprise && !cmd.Flags().Changed("seed") {
				seed = rand.Uint64N(1_000_000)
			}
			if err := p.rehearse(all, chosen, seed, pause); err != nil {
				return err
			}
			if chosen == surprise {
				fmt.Fprintf(cmd.OutOrStdout(), "drill: a surprise; it comes again with --seed %d\n", seed)
			}
			return p.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	p.inputs.addFlags(cmd)
	cmd.Flags().StringVar(&chosen, "scenario", "", "rehearse this one of "+filepath.Join(recoverySuite, scenariosFile)+", or "+surprise+" for one that nobody knows beforehand; all of them without it")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "what the choice of a surprise comes from, to make it again")
	cmd.Flags().BoolVar(&pause, "pause", false, "hand the runbook to people once they are paged, time them and judge what came of it")
	p.addWorldFlags(cmd)
	return cmd
}

// rehearse chooses what is rehearsed, and how.
func (p *proof) rehearse(all []scenario.Scenario, chosen string, seed uint64, pause bool) error {
	switch chosen {
	case "":
		if pause {
			return errors.New("--pause is for one disaster at a time: choose it with --scenario")
		}
		return nil
	case surprise:
		chosen = scenario.Surprise(all, seed).Name
		p.environment = append(p.environment, fmt.Sprintf("%s=%d", seedVariable, seed))
	default:
		if _, err := scenario.Find(all, chosen); err != nil {
			return fmt.Errorf("--scenario: %w", err)
		}
	}
	p.focus = "recovered from: " + regexp.QuoteMeta(chosen) + "$"
	p.procs = 1
	if pause {
		p.environment = append(p.environment, pauseVariable+"=1")
		p.timeout = gameDay
	}
	return nil
}
