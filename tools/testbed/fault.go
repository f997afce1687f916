package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/stemedb/firedrill/tools/image"
)

// Each method below is a fault. It returns once the kernel, or a client of the service, shows that it took, and what was
// observed before is out of date from then on. Otherwise its error begins with "the fault did not take: ", says what was
// seen, and what to do.

// injected ends a fault.
func (c *Container) injected(err *error) {
	c.testbed.Touch()
	if *err != nil {
		*err = fmt.Errorf("the fault did not take: %w", *err)
	}
}

// Kill sends a signal, such as KILL or TERM, to the container's main process, which ends of it. As after docker kill, most
// signals keep the Engine from starting it again, whatever its restart policy.
func (c *Container) Kill(ctx context.Context, signal string) (err error) {
	defer c.injected(&err)
	before, err := c.running(ctx)
	if err != nil {
		return err
	}
	if _, err := c.testbed.engine.client.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: signal}); err != nil {
		return fmt.Errorf("send SIG%s to %s: %w", signal, c.Name, err)
	}
	return c.testbed.Await(ctx, "the main process of "+c.Name+" to end", func(ctx context.Context) error {
		now, err := c.Inspect(ctx)
		if err != nil {
			return fmt.Errorf("inspect container %s: %w", c.Name, err)
		}
		if now.State.Running && now.State.Pid == before.State.Pid && now.State.StartedAt == before.State.StartedAt {
			return fmt.Errorf("it still runs after SIG%s: send a signal that it does not handle or ignore, such as KILL", signal)
		}
		return nil
	})
}

// StopGracefully ends the container's program as an operator would: SIGTERM, and 30 seconds to flush. Start starts it again.
func (c *Container) StopGracefully(ctx context.Context) (err error) {
	defer c.injected(&err)
	if _, err := c.running(ctx); err != nil {
		return err
	}
	return c.stop(ctx)
}

// Pause freezes the container's processes. Clients connect as before, and get no answer.
func (c *Container) Pause(ctx context.Context) (err error) {
	defer c.injected(&err)
	if _, err := c.running(ctx); err != nil {
		return err
	}
	if _, err := c.testbed.engine.client.ContainerPause(ctx, c.ID, client.ContainerPauseOptions{}); err != nil {
		return fmt.Errorf("pause %s: %w", c.Name, err)
	}
	// The Engine waits until the kernel says that all are frozen.
	if now, err := c.Inspect(ctx); err != nil || !now.State.Paused {
		return errors.Join(err, fmt.Errorf("%s is not paused: it has ended, or something continues it", c.Name))
	}
	return nil
}

// Disconnect takes the container off the testbed's network: clients do not reach it, nor does it reach anything.
func (c *Container) Disconnect(ctx context.Context) (err error) {
	defer c.injected(&err)
	to, err := c.reaches(ctx)
	if err != nil {
		return err
	}
	if now, err := c.Inspect(ctx); err == nil {
		c.aliases = now.NetworkSettings.Networks[c.testbed.inside.Name].Aliases
	}
	_, err = c.testbed.engine.client.NetworkDisconnect(ctx, c.testbed.inside.ID, client.NetworkDisconnectOptions{Container: c.ID})
	if err != nil {
		return fmt.Errorf("disconnect %s: %w", c.Name, err)
	}
	said, err := c.within(ctx, "reach", nil, to)
	if err == nil && !strings.HasPrefix(said, "not reached: ") {
		err = fmt.Errorf("%s still reaches the testbed's receiver (%s): remove what else connects it", c.Name, said)
	}
	return err
}

// Delay has each packet that the container receives arrive so much later: clients wait so much longer for each answer, and
// it does for theirs. That goes on for the rest of what began with Begin, unless the container is started again.
func (c *Container) Delay(ctx context.Context, by time.Duration) (err error) {
	defer c.injected(&err)
	to, err := c.reaches(ctx)
	if err != nil {
		return err
	}
	_, err = c.within(ctx, "delay", []string{"NET_ADMIN"}, "--by", by.String(), "--to", to)
	return err
}

// Restore undoes faults: the container is continued, started, connected and freed of the limits and the delay again.
func (c *Container) Restore(ctx context.Context) error {
	defer c.testbed.Touch()
	now, err := c.Inspect(ctx)
	if err != nil {
		return fmt.Errorf("inspect container %s: %w", c.Name, err)
	}
	for _, command := range []string{"delay", "reach"} {
		if helper := c.testbed.find(c.Name + "-" + command); helper != nil {
			if err := helper.Remove(ctx); err != nil {
				return err
			}
		}
	}
	if c.limits != nil {
		if err := c.update(ctx, *c.limits); err != nil {
			return fmt.Errorf("free %s of its limits: %w", c.Name, err)
		}
		c.limits = nil
	}
	if _, connected := now.NetworkSettings.Networks[c.testbed.inside.Name]; !connected {
		_, err := c.testbed.engine.client.NetworkConnect(ctx, c.testbed.inside.ID, client.NetworkConnectOptions{
			Container: c.ID, EndpointConfig: &network.EndpointSettings{Aliases: c.aliases},
		})
		if err != nil {
			return fmt.Errorf("connect %s: %w", c.Name, err)
		}
	}
	switch {
	case now.State.Paused:
		if _, err := c.testbed.engine.client.ContainerUnpause(ctx, c.ID, client.ContainerUnpauseOptions{}); err != nil {
			return fmt.Errorf("continue %s: %w", c.Name, err)
		}
	case !now.State.Running:
		if err := c.Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", c.Name, err)
		}
	}
	return nil
}

// find is what runs beside the system under that name, or nil.
func (t *Testbed) find(name string) *Container {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.beside, func(other *Container) bool { return other.Name == name }); i >= 0 {
		return t.beside[i]
	}
	return nil
}

// running is what the Engine says of a container that runs. The error says that it does not, or is paused.
func (c *Container) running(ctx context.Context) (*container.InspectResponse, error) {
	now, err := c.Inspect(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("inspect container %s: %w", c.Name, err)
	case !now.State.Running:
		return nil, fmt.Errorf("%s does not run (%s, exit code %d): read its log, or remove what ended it before", c.Name, now.State.Status, now.State.ExitCode)
	case now.State.Paused:
		return nil, fmt.Errorf("%s is paused: remove what paused it before", c.Name)
	}
	return now, nil
}

// reaches is the address on the testbed's network, host:port, that the container reaches while it is on it: the receiver's.
func (c *Container) reaches(ctx context.Context) (string, error) {
	now, err := c.running(ctx)
	if err != nil {
		return "", err
	}
	if _, ok := now.NetworkSettings.Networks[c.testbed.inside.Name]; !ok {
		return "", fmt.Errorf("%s is not on the testbed's network: remove what disconnected it before", c.Name)
	}
	address, err := c.testbed.ReceiverAddress(ctx)
	return net.JoinHostPort(address, strconv.Itoa(portReceiver)), err
}

// within runs a command of the receiver's image in the container's network namespace, until the end of what began with
// Begin, and returns the line that it prints.
func (c *Container) within(ctx context.Context, command string, capabilities []string, args ...string) (string, error) {
	t, name := c.testbed, c.Name+"-"+command
	if t.find(name) != nil {
		return "", fmt.Errorf("%s has a %s already: keep one of the two", c.Name, command)
	}
	helper, err := t.Run(ctx, Service{
		Name: name, Image: t.config.Images.Ref(image.Receiver), Command: append([]string{command}, args...), Within: c, Capabilities: capabilities,
	})
	if err != nil {
		return "", err
	}
	t.Cleanup(helper.Remove)
	var line string
	var failed error
	err = t.Await(ctx, name+" to say what it sees", func(ctx context.Context) error {
		now, err := helper.Inspect(ctx)
		if err != nil {
			return fmt.Errorf("inspect container %s: %w", name, err)
		}
		log, err := helper.Log(ctx)
		if err != nil {
			return err
		}
		var complete bool
		if line, _, complete = strings.Cut(log, "\n"); !complete && now.State.Running {
			return errors.New("nothing yet")
		}
		if !now.State.Running && now.State.ExitCode != 0 {
			failed = errors.New(line)
		}
		return nil
	})
	if err = errors.Join(err, failed); err != nil {
		return line, errors.Join(err, helper.Remove(context.WithoutCancel(ctx)))
	}
	return line, nil
}

// LimitCPUs limits the container's processor time to that of so many processors.
func (c *Container) LimitCPUs(ctx context.Context, to float64) (err error) {
	defer c.injected(&err)
	now, err := c.running(ctx)
	if err != nil {
		return err
	}
	limit := container.Resources{NanoCPUs: int64(to * 1e9)}
	if period := now.HostConfig.CPUPeriod; period > 0 || now.HostConfig.CPUQuota > 0 { // the Engine refuses to mix the two
		if period == 0 {
			period = 100_000 // the kernel's
		}
		limit = container.Resources{CPUPeriod: period, CPUQuota: int64(to * float64(period))}
	}
	before, err := c.stats(ctx)
	if err != nil {
		return err
	}
	if err := c.limited(ctx, now.HostConfig.Resources); err != nil {
		return err
	}
	if err := c.update(ctx, limit); err != nil {
		return fmt.Errorf("limit %s to %g processors: %w", c.Name, to, err)
	}
	return c.testbed.Await(ctx, "the kernel to count periods of the limit", func(ctx context.Context) error {
		if _, err := c.running(ctx); err != nil {
			return err
		}
		// It counts those in which something runs. To start a program is enough, even one that does not exist.
		_, _, _ = c.Exec(ctx, []string{"true"})
		after, err := c.stats(ctx)
		if err == nil && after.CPUStats.ThrottlingData.Periods <= before.CPUStats.ThrottlingData.Periods {
			err = fmt.Errorf("it counts none for %s: the machine needs the cgroup controller cpu", c.Name)
		}
		return err
	})
}

// limited notes, before the first limit, what Restore goes back to: where there was no limit, all that the machine has, for
// the Engine takes no limit away.
func (c *Container) limited(ctx context.Context, before container.Resources) error {
	if c.limits != nil {
		return nil
	}
	machine, err := c.testbed.engine.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("ask the Docker Engine for its machine: %w", err)
	}
	c.limits = &container.Resources{
		NanoCPUs: before.NanoCPUs, CPUPeriod: before.CPUPeriod, CPUQuota: before.CPUQuota,
		Memory: before.Memory, MemorySwap: before.MemorySwap, MemoryReservation: before.MemoryReservation,
	}
	if before.NanoCPUs == 0 && before.CPUQuota <= 0 {
		c.limits.NanoCPUs, c.limits.CPUPeriod = int64(machine.Info.NCPU)*1e9, 0
	}
	if before.Memory == 0 {
		c.limits.Memory, c.limits.MemorySwap = machine.Info.MemTotal, machine.Info.MemTotal
	}
	return nil
}

// LimitMemory limits the container's memory to so many bytes, swap included. The kernel ends processes that need more.
func (c *Container) LimitMemory(ctx context.Context, bytes int64) (err error) {
	defer c.injected(&err)
	before, err := c.running(ctx)
	if err != nil {
		return err
	}
	limit := container.Resources{Memory: bytes, MemorySwap: bytes}
	if before.HostConfig.MemoryReservation > bytes { // the Engine refuses that
		limit.MemoryReservation = bytes
	}
	used, err := c.stats(ctx)
	if err != nil {
		return err
	}
	if err := c.limited(ctx, before.HostConfig.Resources); err != nil {
		return err
	}
	if err := c.update(ctx, limit); err != nil {
		return fmt.Errorf("limit the memory of %s to %s: it uses %s: write more than that, and at least 6MiB (%s)",
			c.Name, size(bytes), size(int64(used.MemoryStats.Usage)), strings.Join(strings.Fields(err.Error()), " "))
	}
	return c.testbed.Await(ctx, "the kernel to limit the memory", func(ctx context.Context) error {
		now, err := c.Inspect(ctx)
		if err != nil {
			return fmt.Errorf("inspect container %s: %w", c.Name, err)
		}
		if !now.State.Running || now.State.StartedAt != before.State.StartedAt {
			return nil // the limit has ended it
		}
		seen, err := c.stats(ctx)
		// The kernel counts in pages, of 64 KiB at most.
		if got := int64(seen.MemoryStats.Limit); err == nil && (got > bytes || got <= bytes-64<<10) {
			err = fmt.Errorf("that of %s is limited to %s: the machine needs the cgroup controller memory", c.Name, size(got))
		}
		return err
	})
}

func size(bytes int64) string { return units.BytesSize(float64(bytes)) }

// update changes limits. What the Engine warns of, it has not done.
func (c *Container) update(ctx context.Context, to container.Resources) error {
	updated, err := c.testbed.engine.client.ContainerUpdate(ctx, c.ID, client.ContainerUpdateOptions{Resources: &to})
	if err == nil && len(updated.Warnings) > 0 {
		err = errors.New(strings.Join(updated.Warnings, ", "))
	}
	return err
}

// stats are the counters of the container's control groups.
func (c *Container) stats(ctx context.Context) (container.StatsResponse, error) {
	var stats container.StatsResponse
	answer, err := c.testbed.engine.client.ContainerStats(ctx, c.ID, client.ContainerStatsOptions{})
	if err == nil {
		err = json.NewDecoder(answer.Body).Decode(&stats)
		answer.Body.Close()
	}
	if err == nil && stats.Read.IsZero() { // "cannot find cgroup mount destination" in the Engine's log
		err = errors.New("the Engine has none: with cgroup v1, a container in which systemd runs with the machine's cgroups hides them while it runs")
	}
	if err != nil {
		err = fmt.Errorf("read the counters of %s: %w", c.Name, err)
	}
	return stats, err
}
