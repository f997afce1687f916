package stemedb

import (
	"context"
	"fmt"
	"net"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/testbed"
)

// ClientMachine is a machine that clients run on, with an address on the testbed's network.
type ClientMachine struct {
	Address string // as the host sees it
	dial    func(context.Context, string, string) (net.Conn, error)
}

// ClientMachine brings one, until the next Begin. It forwards connections of this process to the load balancer.
func (e *Environment) ClientMachine(ctx context.Context) (*ClientMachine, error) {
	made, err := e.Run(ctx, testbed.Service{
		Name: "client", Image: e.Image(image.Receiver), Publish: []int{portClients},
		Command: []string{"--forward", fmt.Sprintf(":%d=%s:443", portClients, Domain)},
	})
	if err != nil {
		return nil, err
	}
	e.Cleanup(made.Remove)
	address, err := made.Address(ctx)
	if err != nil {
		return nil, err
	}
	endpoint, err := made.Endpoint(ctx, portClients)
	if err != nil {
		return nil, err
	}
	m := &ClientMachine{Address: address.String(), dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, endpoint)
	}}
	return m, e.Await(ctx, "the client's machine to reach the load balancer", func(ctx context.Context) error {
		connection, err := m.dial(ctx, "tcp", "")
		if err != nil {
			return err
		}
		return connection.Close()
	})
}
