package world

import (
	"context"
	"fmt"
	"net"

	"github.com/stemedb/firedrill/tools/image"
)

// Neighbour is a place that clients come from, with an address of its own.
type Neighbour struct {
	Address string // on the private network, as the host sees it
	dial    func(context.Context, string, string) (net.Conn, error)
}

// Neighbour brings one, until the world begins anew.
func (w *World) Neighbour(ctx context.Context) (*Neighbour, error) {
	made, err := w.docker.run(ctx, blueprint{
		name: "neighbour", image: w.images.Ref(image.Outside), network: w.inside, also: w.gate, publish: []int{portClients},
		command: []string{"--forward", fmt.Sprintf(":%d=%s:443", portClients, Domain)},
	})
	if err != nil {
		return nil, err
	}
	w.neighbour = made
	address, err := made.address(ctx, w.inside)
	if err != nil {
		return nil, err
	}
	p := &parties{}
	if p.ports, err = made.published(ctx); err != nil {
		return nil, err
	}
	n := &Neighbour{Address: address.String(), dial: p.dial(portClients)}
	return n, w.await(ctx, "the neighbour to reach the load balancer", func(ctx context.Context) error {
		connection, err := n.dial(ctx, "tcp", "")
		if err != nil {
			return err
		}
		return connection.Close()
	})
}
