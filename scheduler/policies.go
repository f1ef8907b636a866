package scheduler

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// policiesEvery is how often the policy file is read. A file that is mounted from a ConfigMap changes because the
// kubelet replaces a symbolic link, and a watch on the file does not see that; reading misses nothing, on any
// filesystem.
const policiesEvery = 5 * time.Second

// Policies follows a policy file: it takes over each new version that is valid. All fields must be set.
type Policies struct {
	Path string
	// Check says what is wrong with the URL of a repository root.
	Check func(url string) error
	// Accept prepares for what a valid file asks for, or says why it cannot; then Policies does not take the file over.
	Accept func(ctx context.Context, file *policy.File) (Operations, error)
	// Rejected is called once for each version that is not taken over.
	Rejected func(err error)
	Log      *slog.Logger
	Now      func() time.Time
	// Changes has a value after the policies have changed. It must have room for one.
	Changes chan struct{}

	mutex  sync.Mutex
	loaded Loaded
	state  PoliciesState
	// seen is the hash of what was read last; refused is the last error, and told whether it was reported.
	seen    [sha256.Size]byte
	refused string
	told    bool
}

// PoliciesState is the state of the policy file, for metrics and probes.
type PoliciesState struct {
	// Loaded is when the present policies were taken over; zero if there are none yet.
	Loaded time.Time
	// Policies is how many policies there are.
	Policies int
	// Error says why the present version of the file was not taken over; empty if it was.
	Error string
	// Read is when the file was last read.
	Read time.Time
}

// Load takes over the present version of the file. Without that there are no policies.
func (p *Policies) Load(ctx context.Context) error {
	data, err := p.read()
	if err != nil {
		return err
	}
	return p.take(ctx, data)
}

// Current returns the present policies.
func (p *Policies) Current() Loaded {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.loaded
}

// Changed has a value after Current has changed.
func (p *Policies) Changed() <-chan struct{} { return p.Changes }

// State returns the state of the file.
func (p *Policies) State() PoliciesState {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.state
}

// Follow reads the file again and again until ctx ends.
func (p *Policies) Follow(ctx context.Context) {
	ticker := time.NewTicker(policiesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.look(ctx)
		}
	}
}

// look reads the file, and takes it over if it has changed and is valid.
func (p *Policies) look(ctx context.Context) {
	data, err := p.read()
	if err == nil {
		if sha256.Sum256(data) == p.seen && p.refused == "" {
			return
		}
		err = p.take(ctx, data)
	}
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		p.refused, p.told = "", false
		p.Log.Info("policies loaded", "file", p.Path, "policies", len(p.Current().File.Policies))
		select {
		case p.Changes <- struct{}{}:
		default: // nobody has read the channel since the last change
		}
		return
	}
	p.reject(err)
}

// reject keeps the present policies. It reports the error once it has read the same content twice: while the kubelet
// updates the mount of a ConfigMap, the file may be gone for a moment.
func (p *Policies) reject(err error) {
	same := p.refused == err.Error()
	p.refused = err.Error()
	if !same {
		p.told = false
		return
	}
	p.mutex.Lock()
	p.state.Error = err.Error()
	p.mutex.Unlock()
	if !p.told {
		p.told = true
		p.Log.Error("policies rejected; the ones before stay in force", "file", p.Path, "error", err.Error())
		p.Rejected(err)
	}
}

func (p *Policies) read() ([]byte, error) {
	p.mutex.Lock()
	p.state.Read = p.Now()
	p.mutex.Unlock()
	return policy.Read(p.Path)
}

// take takes a file over if it is valid.
func (p *Policies) take(ctx context.Context, data []byte) error {
	file, err := policy.Parse(p.Path, data, p.Check)
	if err != nil {
		return err
	}
	operations := p.Current().Operations
	if current := p.Current().File; current == nil || current.Repository != file.Repository || file.NeedsNamespaceLabels() {
		accepted, err := p.Accept(ctx, file)
		if err != nil {
			return err
		}
		// The same repository keeps its operations, so what is known about its recovery points stays known.
		if current == nil || current.Repository != file.Repository {
			operations = accepted
		}
	}
	if operations == nil {
		return errors.New("nothing is connected that could carry out the policies")
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.seen = sha256.Sum256(data)
	p.loaded = Loaded{File: file, Operations: operations}
	p.state.Loaded, p.state.Policies, p.state.Error = p.Now(), len(file.Policies), ""
	return nil
}
