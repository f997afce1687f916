package metric

import (
	"fmt"
	"slices"
	"strings"
)

// Drift describes how exported differs from inventory: series that are gone or new, and those with another type or other
// labels. Values, help texts and units do not count.
func Drift(inventory, exported *Inventory) []string {
	var drifted []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(inventory.Names(), exported.Names()...)))) {
		was, before := inventory.Series(name)
		is, now := exported.Series(name)
		switch {
		case !now:
			drifted = append(drifted, fmt.Sprintf("%s is in the inventory, but no longer exported", name))
		case !before:
			drifted = append(drifted, fmt.Sprintf("%s is exported, but not in the inventory", name))
		default:
			if was.Type != is.Type {
				drifted = append(drifted, fmt.Sprintf("%s is a %s in the inventory, but exported as a %s", name, was.Type, is.Type))
			}
			if !slices.Equal(was.Labels, is.Labels) {
				drifted = append(drifted, fmt.Sprintf("%s has %s in the inventory, but is exported with %s", name, labelList(was.Labels), labelList(is.Labels)))
			}
		}
	}
	return drifted
}

func labelList(names []string) string {
	switch len(names) {
	case 0:
		return "no labels"
	case 1:
		return "the label " + names[0]
	}
	return "the labels " + strings.Join(names, ", ")
}
