package holder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/config"
	"github.com/stsbackup/stsbackup/test/cluster/process"
	"github.com/stsbackup/stsbackup/test/cluster/proxy"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// Verb is the hidden command that makes this program the holder: `testcluster hold FOLDER`.
const Verb = "hold"

// Stay is what the lifeline says when the holder may outlive its starter.
const Stay = "stay\n"

// File descriptors that the holder inherits, in the order of exec.Cmd's ExtraFiles.
const (
	lifelineFD = 3 + iota
	reportFD
	apiFD
	s3FD
)

// driverGrace is how long the CSI driver may take to finish: a filesystem that it has frozen would stay frozen for
// ever.
const driverGrace = 5 * time.Second

type holder struct {
	spec.Cluster
	report     *reporter
	supervisor *process.Supervisor
	api        *api
	status     Status
	started    chan *process.Process // every component
	commands   commands
}

// Run is the holder's life. It returns when the cluster has to end.
func Run(ctx context.Context, dir string, now func() time.Time) error {
	for fd := lifelineFD; fd <= s3FD; fd++ {
		syscall.CloseOnExec(fd)
	}
	h := &holder{started: make(chan *process.Process, 64)}
	h.report = newReporter(os.NewFile(reportFD, "report"), now)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go holdLifeline(os.NewFile(lifelineFD, "lifeline"), cancel)

	err := h.live(ctx, dir, now)
	if err != nil {
		h.report.send(Event{Error: err.Error()})
	}
	return err
}

// holdLifeline ends the context if the lifeline ends before it has said that we may stay.
func holdLifeline(lifeline io.Reader, cancel context.CancelCauseFunc) {
	said, _ := io.ReadAll(lifeline)
	if string(said) != Stay {
		cancel(errors.New("the command that started the cluster has ended"))
	}
}

func (h *holder) live(ctx context.Context, dir string, now func() time.Time) error {
	// 1. Say who we are before we make anything that somebody would have to find.
	var err error
	if h.Cluster, err = spec.New(dir); err != nil {
		return err
	}
	if err := h.introduce(); err != nil {
		return fmt.Errorf("write %s: %w", h.Status(), err)
	}
	// 2. A world of our own, and the ways into it.
	if err := makeWorld(h.Dir, h.ControlPlane().Name); err != nil {
		return err
	}
	h.supervisor = process.NewSupervisor(context.WithoutCancel(ctx), h.Logs())
	if err := h.serve(ctx); err != nil {
		return err
	}
	// 3. Everything in it.
	driver, err := h.start(ctx, now())
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	h.status.Ready = true
	if err := h.status.write(h.Status()); err != nil {
		return err
	}
	if err := h.control(ctx); err != nil {
		return err
	}
	h.report.send(Event{Ready: true})
	// 4. Stay, serve requests, and note what ends.
	h.watch(ctx)
	for _, p := range driver {
		stopDriver(p)
	}
	return nil
}

// introduce writes the first status.
func (h *holder) introduce() error {
	pid, err := hostPID()
	if err != nil {
		return err
	}
	started, _, err := startTime("/proc/self/stat")
	if err != nil {
		return err
	}
	h.status = Status{PID: pid, Started: started, Ended: map[string]string{}}
	return h.status.write(h.Status())
}

// serve starts the proxies on the two inherited sockets.
func (h *holder) serve(ctx context.Context) error {
	serve := func(fd int, target string) (string, error) {
		f := os.NewFile(uintptr(fd), target)
		defer f.Close()
		listener, err := net.FileListener(f)
		if err != nil {
			return "", fmt.Errorf("take over the host's socket for %s: %w", target, err)
		}
		go proxy.Serve(ctx, listener, target)
		return listener.Addr().String(), nil
	}
	var err error
	if h.status.API, err = serve(apiFD, fmt.Sprintf("%s:%d", h.ControlPlane().Address, spec.APIPort)); err != nil {
		return err
	}
	h.status.S3, err = serve(s3FD, fmt.Sprintf("%s:%d", h.S3Address, h.S3.Port))
	return err
}

// watch notes every component that ends, or starts again, until the context ends.
func (h *holder) watch(ctx context.Context) {
	ended := make(chan *process.Process)
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-h.started:
			if _, again := h.status.Ended[p.Name]; again {
				delete(h.status.Ended, p.Name)
				h.note()
			}
			go func() {
				<-p.Done()
				select {
				case ended <- p:
				case <-ctx.Done():
				}
			}()
		case p := <-ended:
			failure := p.Ended()
			fmt.Fprintln(os.Stderr, failure)
			if h.supervisor.Find(p.Name) == p { // it has not been started again meanwhile
				h.status.Ended[p.Name] = errors.Unwrap(failure).Error()
				h.note()
			}
		}
	}
}

// note rewrites the status.
func (h *holder) note() {
	if err := h.status.write(h.Status()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// component starts a component and watches it.
func (h *holder) component(c config.Command) (*process.Process, error) {
	p, err := h.supervisor.Start(c.Name, c.Argv, c.Env...)
	if err != nil {
		return nil, err
	}
	h.commands.add(c)
	h.started <- p
	return p, nil
}

func stopDriver(p *process.Process) {
	p.Signal(syscall.SIGTERM)
	timer := time.NewTimer(driverGrace)
	defer timer.Stop()
	select {
	case <-p.Done():
	case <-timer.C:
	}
}
