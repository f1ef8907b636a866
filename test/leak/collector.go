package leak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// The places where secrets are looked for, beside the kinds of objects ("ConfigMap", "Event", "Job", …).
const (
	PlaceLog     = "log"
	PlaceProcess = "process arguments"
	PlaceOutput  = "output"
)

// Finding is a secret where none belongs.
type Finding struct {
	// Secret is the name that Guard was given.
	Secret string
	// Place is one of the Place constants, or the kind of an object; Where is which of them.
	Place, Where string
	// Excerpt is the text around it, without the secret.
	Excerpt string
}

// String says it in a line.
func (f Finding) String() string {
	return fmt.Sprintf("%s in %s of %s: %s", f.Secret, f.Place, f.Where, f.Excerpt)
}

// Collector looks for secrets. Its methods may be called by several goroutines.
type Collector struct {
	// Derive, if set before Watch, gives what is also secret because this StatefulSet exists, by names.
	Derive func(namespace, statefulSet string) map[string]string

	mu       sync.Mutex
	secrets  map[string][]string // forms, by name
	findings map[[3]string]Finding
	seen     map[string]int
}

// New makes a Collector that knows no secret yet.
func New() *Collector {
	return &Collector{secrets: map[string][]string{}, findings: map[[3]string]Finding{}, seen: map[string]int{}}
}

// Guard tells of a secret, by a name that may be shown.
func (c *Collector) Guard(name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.secrets[name]; !known {
		c.secrets[name] = forms(value)
	}
}

// Guarded is how many secrets there are.
func (c *Collector) Guarded() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.secrets)
}

// Text looks through a text.
func (c *Collector) Text(place, where string, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[place]++
	for name, forms := range c.secrets {
		if excerpt, found := find(text, forms); found {
			key := [3]string{name, place, where}
			if _, known := c.findings[key]; !known {
				c.findings[key] = Finding{Secret: name, Place: place, Where: where, Excerpt: excerpt}
			}
		}
	}
}

// Findings are those of one secret, or with an empty name those of all, in a fixed order.
func (c *Collector) Findings(secret string) []Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Finding
	for _, finding := range c.findings {
		if secret == "" || finding.Secret == secret {
			found = append(found, finding)
		}
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Place, b.Place), cmp.Compare(a.Where, b.Where))
	})
	return found
}

// Seen is how many texts of each place have been looked through.
func (c *Collector) Seen() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.seen)
}
