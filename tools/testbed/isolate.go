package testbed

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// The names on the testbed's network of what it brings itself. No service of a compose file has them.
const (
	namePrometheus   = "prometheus"
	nameAlertmanager = "alertmanager"
	nameReceiver     = "firedrill-receiver"
)

// isolate changes in memory what isolation demands, and returns a line for each change that a user may miss: the services
// are on the network alone, one instance each, publish nothing on this machine, and carry the prefix and the labels; each volume is
// new.
func isolate(project *types.Project, file, prefix, network string, labels map[string]string) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		aliases := []string{name}
		if own := service.ContainerName; own != "" { // by which others reach it, too
			aliases = append(aliases, own)
		}
		for _, key := range slices.Sorted(maps.Keys(service.Networks)) {
			if service.Networks[key] != nil {
				aliases = append(aliases, service.Networks[key].Aliases...)
			}
		}
		aliases = slices.DeleteFunc(aliases, func(alias string) bool {
			taken := slices.Contains([]string{namePrometheus, nameAlertmanager, nameReceiver}, alias)
			if taken {
				say("%s: service %s is not reached as %s, which is the testbed's own", file, name, alias)
			}
			return taken
		})
		slices.Sort(aliases[1:])
		service.Networks = map[string]*types.ServiceNetworkConfig{"testbed": {Aliases: slices.Compact(aliases)}}
		service.NetworkMode = ""
		service.Ports, service.ContainerName = nil, prefix+"-"+name
		if scale := service.GetScale(); scale > 1 {
			say("%s: one instance of the service %s runs, not %d", file, name, scale)
		}
		service.Scale = nil
		if service.Deploy != nil {
			service.Deploy.Replicas = nil
		}
		service.Links = slices.DeleteFunc(service.Links, func(link string) bool {
			to, _, _ := strings.Cut(link, ":")
			_, runs := project.Services[to]
			return !runs
		})
		if service.Labels == nil {
			service.Labels = types.Labels{}
		}
		maps.Copy(service.Labels, labels)
		project.Services[name] = service
	}
	project.Networks = types.Networks{"testbed": {Name: network, External: true}}
	for _, name := range project.VolumeNames() {
		volume := project.Volumes[name]
		own := prefix + "_" + name // as compose names it
		if volume.Name != own || bool(volume.External) {
			say("%s: the volume %s is a new one, not %s", file, name, volume.Name)
		}
		volume.Name, volume.External, volume.Labels = own, false, labels
		project.Volumes[name] = volume
	}
	return lines
}
