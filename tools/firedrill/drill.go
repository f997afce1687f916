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

// gameDay limits a drill with people: their four hours, and what comes before and after.
const gameDay = 5 * time.Hour

// The environment variables that configure the drill's specs.
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
				fmt.Fprintf(cmd.OutOrStdout(), "drill: a surprise; repeat it with --seed %d\n", seed)
			}
			return p.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	p.inputs.addFlags(cmd)
	cmd.Flags().StringVar(&chosen, "scenario", "", "scenario of "+filepath.Join(recoverySuite, scenariosFile)+", or "+surprise+" for a random one (default: all)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "seed of a surprise, to repeat it")
	cmd.Flags().BoolVar(&pause, "pause", false, "let people follow the runbook once they are paged, and measure their recovery")
	p.addTestbedFlags(cmd)
	return cmd
}

// rehearse selects the specs of a scenario, or all.
func (p *proof) rehearse(all []scenario.Scenario, chosen string, seed uint64, pause bool) error {
	switch chosen {
	case "":
		if pause {
			return errors.New("--pause needs a single scenario: choose it with --scenario")
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
