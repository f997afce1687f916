package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/project"
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
	var p proof
	var chosen string
	var seed uint64
	var pause bool
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Rehearse disasters: be paged, follow the runbook, and measure RTO and RPO against objectives",
		Long:  `Rehearse the scenarios of the ` + project.FileName + ` here or, where there is none, those of ` + filepath.Join(recoverySuite, scenariosFile) + `.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := loadProject(".")
			if err != nil {
				return err
			}
			var all []scenario.Scenario
			if loaded != nil {
				all, err = p.scenariosOf(loaded)
			} else {
				p.suites = []string{"./" + recoverySuite}
				all, err = scenario.Load(filepath.Join(recoverySuite, scenariosFile))
			}
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
			if err := p.validate(); err != nil {
				return err
			}
			return p.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	p.inputs.addFlags(cmd)
	cmd.Flags().StringVar(&chosen, "scenario", "", "name of a scenario, or "+surprise+" for a random one (default: all)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "seed of a surprise, to repeat it")
	cmd.Flags().BoolVar(&pause, "pause", false, "let people follow the runbook once they are paged, and measure their recovery")
	p.addTestbedFlags(cmd)
	return cmd
}

// scenariosOf selects all scenarios of a project.
func (p *proof) scenariosOf(loaded *project.Project) (all []scenario.Scenario, err error) {
	if len(loaded.Scenarios) == 0 {
		return nil, fmt.Errorf("%s has no scenario: write a list under scenarios:", loaded.File)
	}
	for _, s := range loaded.Scenarios {
		all = append(all, scenario.Scenario{Name: s.Name})
	}
	p.projects = []selection{{Project: loaded, scenarios: loaded.Scenarios}}
	return all, nil
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
		p.exercise.Seed = seed
	default:
		if _, err := scenario.Find(all, chosen); err != nil {
			return fmt.Errorf("--scenario: %w", err)
		}
	}
	for i := range p.projects {
		s := &p.projects[i]
		s.scenarios = slices.DeleteFunc(slices.Clone(s.scenarios), func(one project.Scenario) bool { return one.Name != chosen })
	}
	p.exercise.Pause = pause
	p.focus = "recovered from: " + regexp.QuoteMeta(chosen) + "$"
	p.procs = 1
	if pause {
		p.environment = append(p.environment, pauseVariable+"=1")
		p.timeout = gameDay
	}
	return nil
}
