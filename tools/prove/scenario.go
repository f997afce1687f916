package prove

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stemedb/firedrill/tools/drill"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/testbed"
)

// Exercise says how disasters are rehearsed.
type Exercise struct {
	Seed  uint64 // of a surprise; 0 where the scenario was chosen
	Pause bool   // people follow the runbook
}

// Scenarios rehearses disasters of the project: each is a drill, whose recovery is measured against the objectives.
func Scenarios(ctx context.Context, c Config, scenarios []project.Scenario, e Exercise) (Result, error) {
	var tasks []task
	for _, s := range scenarios {
		d := s.Drill
		d.Branch = s.Name // as the report has it
		tasks = append(tasks, task{Drill: d, name: s.Name, do: func(ctx context.Context, w *worker) (journal.Proof, error) {
			return (&rehearsal{worker: w, Scenario: s, Exercise: e}).run(ctx)
		}})
	}
	return c.run(ctx, tasks)
}

// rehearsal is a disaster on its way from a steady state to a steady state.
type rehearsal struct {
	*worker
	project.Scenario
	Exercise

	mu      sync.Mutex
	moments []journal.Moment // in the machine's own time
	struck  time.Time
	well    time.Time // since when the verification has succeeded; zero while it does not
}

func (r *rehearsal) note(format string, args ...any) time.Time {
	m := journal.Moment{At: time.Now(), What: fmt.Sprintf(format, args...)}
	r.testbed.Say("%s", m.What)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moments = append(r.moments, m)
	return m.At
}

func (r *rehearsal) run(ctx context.Context) (journal.Proof, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watched sync.WaitGroup
	d := r.worker.drill(r.Drill)
	d.Runbook = r.Runbook
	strike := d.Fault
	d.Fault = func(ctx context.Context) error {
		err := strike(ctx)
		r.struck = r.note("disaster: %s", r.Description) // what was acknowledged until it was over, was before it
		watched.Go(func() { r.watch(watching) })
		return err
	}
	verify := d.Verify
	d.Verify = func(ctx context.Context) (drill.Action, error) { // called right before the branch is followed
		r.note("%s is paged, and the runbook is followed: %q", r.Alert, r.Branch)
		verified, err := verify(ctx)
		return func(ctx context.Context) error {
			r.note("%s is resolved, and the steady state is back", r.Alert)
			return verified(ctx)
		}, err
	}
	if r.Pause {
		d.HandOver = r.handOver
	}
	proof, err := drill.Run(ctx, r.testbed, d)
	var measured journal.Recovery
	if err == nil {
		if measured, err = r.measure(ctx); err == nil {
			err = r.judge(measured)
		}
		if err != nil {
			proof.Verdict, proof.Failure = journal.False, err.Error()
		}
	}
	stop()
	watched.Wait()
	proof.Branch, proof.Drill = r.Name, r.report(measured)
	if err == nil {
		proof.What = what(measured)
	}
	return proof, err
}

// watch asks again and again whether the service is well, until the context ends.
func (r *rehearsal) watch(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		asked := time.Now()
		err := r.command(ctx, *r.Verify)
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		switch {
		case err != nil:
			r.well = time.Time{}
		case r.well.IsZero():
			r.well = asked
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// handOver leaves it to people, and waits until the alert has cleared.
func (r *rehearsal) handOver(ctx context.Context, page testbed.Notification) error {
	r.testbed.Say("it is yours: %s\n%s", page.Annotations["runbook_url"], r.testbed.Enter())
	r.note("the runbook is handed to people")
	alert, err := r.testbed.Alert(r.Alert)
	if err != nil {
		return err
	}
	return r.testbed.WithResponders(ctx, func(ctx context.Context) error {
		tick := time.NewTicker(testbed.Interval)
		defer tick.Stop()
		for {
			o, err := alert.Observe(ctx)
			if err == nil {
				err = o.Inactive()
			}
			if err == nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", context.Cause(ctx), err)
			case <-tick.C:
			}
		}
	})
}

// measure is what the recovery took, and what was lost.
func (r *rehearsal) measure(ctx context.Context) (journal.Recovery, error) {
	var well time.Time
	err := r.testbed.Await(ctx, "the service to be well", func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if well = r.well; well.IsZero() {
			return errors.New("its verification has failed since the runbook was followed")
		}
		return nil
	})
	if err != nil {
		return journal.Recovery{}, err
	}
	rto := journal.Seconds(r.testbed.OnAxis(well).Sub(r.testbed.OnAxis(r.struck)))
	m := journal.Recovery{RTO: &rto}
	if r.Lost == nil {
		return m, nil
	}
	service, err := r.testbed.Service(r.Lost.On)
	if err != nil {
		return m, err
	}
	said, err := service.Output(ctx, r.Lost.Run)
	if err != nil {
		return m, fmt.Errorf("ask what is lost: %w", err)
	}
	records, oldest, err := readLost(said, r.struck)
	if err != nil {
		return m, fmt.Errorf("%s:%d: lost: %w", r.Project.File, r.Line, err)
	}
	rpo := journal.Seconds(0)
	if records > 0 {
		rpo = journal.Seconds(r.struck.Sub(oldest))
	}
	m.RPORecords, m.RPO = &records, &rpo
	return m, nil
}

// readLost reads when each record was acknowledged that is lost.
func readLost(said string, struck time.Time) (records int64, oldest time.Time, err error) {
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		seconds, err := strconv.ParseFloat(line, 64)
		const most = 1 << 33 // the year 2242
		if err != nil || !(seconds >= 0 && seconds < most) {
			return 0, oldest, fmt.Errorf("%.80q is not when a record was acknowledged: print seconds since 1970, as date +%%s does, a line for each", line)
		}
		at := time.UnixMicro(int64(seconds * 1e6))
		if at.After(struck.Add(time.Second)) { // whole seconds are rounded
			return 0, oldest, fmt.Errorf("a record that was acknowledged at %s, after the disaster of %s, is lost", at.UTC().Format(time.TimeOnly), struck.UTC().Format(time.TimeOnly))
		}
		if records++; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return records, oldest, nil
}

// judge says which objectives were missed.
func (r *rehearsal) judge(m journal.Recovery) error {
	var errs []error
	if took := m.RTO.Duration(); took > r.Objectives.RTO {
		errs = append(errs, fmt.Errorf("the recovery took %s: the objective (rto) is %s", took.Round(time.Second), r.Objectives.RTO))
	}
	if m.RPO != nil && m.RPO.Duration() > r.Objectives.RPO {
		errs = append(errs, fmt.Errorf("records of %s are lost: the objective (rpo) is %s", m.RPO.Duration().Round(time.Second), r.Objectives.RPO))
	}
	if m.RPORecords != nil && *m.RPORecords > r.Objectives.Records {
		errs = append(errs, fmt.Errorf("%d records are lost: the objective (records) is %d", *m.RPORecords, r.Objectives.Records))
	}
	return errors.Join(errs...)
}

// what says what was measured, in a few words.
func what(m journal.Recovery) string {
	said := "recovered in " + m.RTO.Duration().Round(time.Second).String()
	if m.RPORecords != nil {
		said += fmt.Sprintf(", lost %d records of %s", *m.RPORecords, m.RPO.Duration().Round(time.Second))
	}
	return said
}

// report is what an auditor asks.
func (r *rehearsal) report(measured journal.Recovery) *journal.Drill {
	rto := journal.Seconds(r.Objectives.RTO)
	d := journal.Drill{
		Scenario: journal.Scenario{Name: r.Name, Description: r.Description, Seed: r.Seed},
		Measured: measured, Objectives: journal.Recovery{RTO: &rto},
		Timeline: []journal.Moment{}, Deviations: []string{}, Findings: []string{}, Limits: append(append([]string{}, limits...), r.Limits...),
	}
	if r.Lost != nil {
		rpo, records := journal.Seconds(r.Objectives.RPO), r.Objectives.Records
		d.Objectives.RPO, d.Objectives.RPORecords = &rpo, &records
	} else {
		d.Limits = append(d.Limits, "What was lost is not measured.")
	}
	for _, m := range r.moments {
		d.Timeline = append(d.Timeline, journal.Moment{At: r.testbed.OnAxis(m.At).UTC(), What: m.What})
	}
	if r.Pause {
		d.Limits = append(d.Limits, "People followed the runbook: what they typed is not recorded.")
	} else {
		d.Limits = append(d.Limits, "The runbook was followed by a machine: the time that people take to wake up, to read and to decide is not in the RTO.")
	}
	return &d
}

// limits are those of every exercise.
var limits = []string{
	"Time that a rule asks for was leapt, not waited for. It counts in the RTO as if it had been waited for.",
	"The system ran in containers on one machine: networks and disks are faster than production's.",
}
