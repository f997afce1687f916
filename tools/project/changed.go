package project

import "reflect"

// Changed compares two versions of a firedrill.yml by what they say, whatever their layout. It returns the alerts whose drills
// or scenarios differ, each once or more. With rest, anything else differs too, or one of them cannot be read.
func Changed(before, after []byte) (alerts []string, rest bool) {
	was, d := parse(FileName, before)
	is, e := parse(FileName, after)
	if len(d.problems)+len(e.problems) > 0 {
		return nil, true
	}
	old, now := was.scenarios(), is.scenarios()
	for name, s := range now {
		if other, ok := old[name]; !ok || !reflect.DeepEqual(s, other) {
			alerts = append(alerts, s.Alert)
		}
	}
	for name, s := range old {
		if _, ok := now[name]; !ok {
			alerts = append(alerts, s.Alert)
		}
	}
	was.Drills, is.Drills, was.Scenarios, is.Scenarios = nil, nil, nil, nil
	return alerts, !reflect.DeepEqual(was, is)
}

// scenarios returns the scenarios by their names, and the drills by theirs, which have a colon, as scenarios without a name. They
// are without the lines on which they stand.
func (p *Project) scenarios() map[string]Scenario {
	all := map[string]Scenario{}
	for _, d := range p.Drills {
		all[d.Name()] = Scenario{Drill: d.withoutLines()}
	}
	for _, s := range p.Scenarios {
		s.Drill = s.Drill.withoutLines()
		all[s.Name] = s
	}
	return all
}

func (d Drill) withoutLines() Drill {
	d.Line = 0
	for _, faults := range [][]Fault{d.Prepare, d.Fault} {
		for i := range faults {
			faults[i].Line = 0
		}
	}
	for i := range d.Responders {
		d.Responders[i].Line = 0
	}
	return d
}
