package holder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/config"
)

// Request asks the holder of a Ready cluster to do something to one of its components.
type Request struct {
	// Verb is one of the verbs below.
	Verb string `json:"verb"`
	// Component is the name of the component.
	Component string `json:"component"`
}

// The verbs of requests.
const (
	// VerbStop ends a component with SIGKILL, like a machine that loses its power.
	VerbStop = "stop"
	// VerbStart starts a component again that has ended; the answer comes when the API server serves.
	VerbStart = "start"
)

// answer is the holder's answer to a request: the error, "" for none.
type answer struct {
	Error string `json:"error,omitempty"`
}

// requestWithin bounds how long a request may take to arrive. A client that connects and says nothing blocks nobody.
const requestWithin = 10 * time.Second

// Ask sends a request to the holder that listens on a socket, and waits until it has been carried out.
func Ask(ctx context.Context, socket string, r Request) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("ask the holder to %s %s: %w", r.Verb, r.Component, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var a answer
	if err := errors.Join(json.NewEncoder(conn).Encode(r), json.NewDecoder(conn).Decode(&a)); err != nil {
		return fmt.Errorf("ask the holder to %s %s: %w", r.Verb, r.Component, errors.Join(err, ctx.Err()))
	}
	if a.Error != "" {
		return fmt.Errorf("%s %s: %s", r.Verb, r.Component, a.Error)
	}
	return nil
}

// commands remembers how each component was started.
type commands struct {
	mu     sync.Mutex
	byName map[string]config.Command
}

func (c *commands) add(command config.Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]config.Command{}
	}
	c.byName[command.Name] = command
}

func (c *commands) get(name string) (config.Command, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	command, ok := c.byName[name]
	if !ok {
		var names []string
		for name := range c.byName {
			names = append(names, name)
		}
		slices.Sort(names)
		return command, fmt.Errorf("there is no component %q; there are %s", name, strings.Join(names, ", "))
	}
	return command, nil
}

// control listens for requests and carries them out, one at a time, until the context ends.
func (h *holder) control(ctx context.Context) error {
	if err := os.Remove(h.Control()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", h.Control())
	if err != nil {
		return fmt.Errorf("listen for requests: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			h.serveRequest(ctx, conn)
		}
	}()
	return nil
}

// serveRequest reads one request, carries it out, and answers.
func (h *holder) serveRequest(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	var r Request
	var a answer
	err := conn.SetReadDeadline(time.Now().Add(requestWithin))
	if err == nil {
		err = json.NewDecoder(conn).Decode(&r)
	}
	if err == nil {
		err = h.carryOut(ctx, r)
	}
	if err != nil {
		a.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(a) // the client may be gone
}

func (h *holder) carryOut(ctx context.Context, r Request) error {
	command, err := h.commands.get(r.Component)
	if err != nil {
		return err
	}
	p := h.supervisor.Find(r.Component)
	switch r.Verb {
	case VerbStop:
		p.Signal(syscall.SIGKILL)
		<-p.Done()
		return nil
	case VerbStart:
		select {
		case <-p.Done():
		default:
			return errors.New("it is running")
		}
		if p, err = h.component(command); err != nil {
			return err
		}
		return p.Await(ctx, readyWithin, func(ctx context.Context) error { return h.api.get(ctx, "/readyz", nil) })
	default:
		return fmt.Errorf("the verb %q is not known", r.Verb)
	}
}
