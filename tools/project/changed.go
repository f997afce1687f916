package project

import "reflect"

// Changed compares two versions of a firedrill.yml by what they say, whatever their layout. It returns the alerts whose drills
// differ, each once or more. With rest, anything else differs too, or one of them cannot be read.
func Changed(before, after []byte) (alerts []string, rest bool) {
	was, d := parse(FileName, before)
	is, e := parse(FileName, after)
	if len(d.problems)+len(e.problems) > 0 {
		return nil, true
	}
	old, now := was.drills(), is.drills()
	for name, drill := range now {
		if other, ok := old[name]; !ok || !reflect.DeepEqual(drill, other) {
			alerts = append(alerts, drill.Alert)
		}
	}
	for name, drill := range old {
		if _, ok := now[name]; !ok {
			alerts = append(alerts, drill.Alert)
		}
	}
	was.Drills, is.Drills = nil, nil
	return alerts, !reflect.DeepEqual(was, is)
}

// drills returns the drills by their names, without the lines on which they stand.
func (p *Project) drills() map[string]Drill {
	all := map[string]Drill{}
	for _, drill := range p.Drills {
		drill.Line = 0
		for _, faults := range [][]Fault{drill.Prepare, drill.Fault} {
			for i := range faults {
				faults[i].Line = 0
			}
		}
		all[drill.Name()] = drill
	}
	return all
}
