package leak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// The places where a Collector looks for secrets, beside the kinds of objects ("ConfigMap", "Event", "Job", …).
const (
	PlaceLog     = "log"
	PlaceProcess = "process arguments"
	PlaceOutput  = "output"
)

// Finding is a secret where none belongs.
type Finding struct {
	// Secret is the name that Guard was given.
	Secret string
	// Place is one of the Place constants, or the kind of an object; Where says which text or object of that place it
	// is.
	Place, Where string
	// Excerpt is the text around the secret, without the secret.
	Excerpt string
}

// String describes the finding in a line.
func (f Finding) String() string {
	return fmt.Sprintf("%s in %s of %s: %s", f.Secret, f.Place, f.Where, f.Excerpt)
}

// Collector looks for secrets. Several goroutines may call its methods.
type Collector struct {
	// Derive, if set before Watch, returns the secrets that exist because this StatefulSet exists, by name.
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

// Guard adds a secret, with a name that may be shown.
func (c *Collector) Guard(name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.secrets[name]; !known {
		c.secrets[name] = forms(value)
	}
}

// Guarded returns the number of secrets.
func (c *Collector) Guarded() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.secrets)
}

// Text searches a text.
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

// Findings returns the findings of one secret or, if the name is empty, of all, in a fixed order.
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

// Seen returns how many texts of each place have been searched.
func (c *Collector) Seen() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.seen)
}
