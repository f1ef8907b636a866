package env

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/internal/mover/contract"
)

// Variables are environment variables that a person gives to movers. A pointer to Variables is a flag's value. What is in the
// variables is never shown.
type Variables struct {
	values map[string]string
	faults []error
}

// String, Set and Type make a pointer to Variables a pflag.Value.
func (v *Variables) String() string { return strings.Join(slices.Sorted(maps.Keys(v.values)), ",") }

// Set adds one variable. It leaves it to Faults to say what is wrong with the variable: the error of a flag would show all of it.
func (v *Variables) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	err := Check(name, value)
	if !found {
		err = errors.New("a variable has no =; write for example TZ=UTC")
	}
	if err != nil {
		v.faults = append(v.faults, err)
		return nil
	}
	*v = v.With(map[string]string{name: value})
	return nil
}

// Faults are what is wrong with variables that were set, which were not added.
func (v *Variables) Faults() []error { return v.faults }

// Type names what the flag takes.
func (v *Variables) Type() string { return "NAME=VALUE" }

// With returns a copy of v to which others are added. Where both have a variable, the value of others counts.
func (v Variables) With(others map[string]string) Variables {
	all := map[string]string{}
	maps.Copy(all, v.values)
	maps.Copy(all, others)
	return Variables{values: all, faults: v.faults}
}

// Give adds to a mover's environment what was asked for, and the proxies of this process, whose environment getenv reads, if the
// mover reaches the bucket where this process does. It leaves out what holds a password, and returns that as the content of the
// mover's file contract.Proxies. The content is empty if the mover needs no such file.
func (v *Variables) Give(mover map[string]string, getenv func(string) string, sameBucket bool) (proxies []byte) {
	settings := map[string]string{}
	if sameBucket {
		settings = ownProxies(getenv)
	}
	for name, value := range v.values {
		if IsProxy(name) {
			settings[strings.ToUpper(name)] = value
		} else {
			mover[name] = value
		}
	}
	secret := map[string]string{}
	for name, value := range settings {
		switch {
		case value == "": // none, on purpose
		case HasPassword(value):
			secret[name] = value
		default:
			mover[name] = value
		}
	}
	if len(secret) == 0 {
		return nil
	}
	mover[contract.ProxyFileVariable] = contract.Proxies.Path()
	return ProxyFile(secret)
}

// ownProxies are the proxies of this process that others can reach too.
func ownProxies(getenv func(string) string) map[string]string {
	settings := map[string]string{}
	for _, name := range Proxies() {
		value := cmp.Or(getenv(name), getenv(strings.ToLower(name)))
		if value == "" || name != "NO_PROXY" && onlyHere(ProxyHost(value)) {
			continue
		}
		settings[name] = value
	}
	if len(settings) == 1 && settings["NO_PROXY"] != "" {
		return map[string]string{} // which says nothing without a proxy
	}
	return settings
}

// onlyHere reports whether a host is this machine, or none.
func onlyHere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// TakeProxies sets the proxies of this process that hold a password. It takes them from the file that contract.ProxyFileVariable
// names, and must be called before anything asks for a proxy.
func TakeProxies(getenv func(string) string, setenv func(name, value string) error) error {
	file := getenv(contract.ProxyFileVariable)
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the proxies of $%s: %w", contract.ProxyFileVariable, err)
	}
	settings, err := ParseProxyFile(text)
	if err != nil {
		return fmt.Errorf("read the proxies of $%s: file %s: %w", contract.ProxyFileVariable, file, err)
	}
	for name, value := range settings {
		if err := setenv(name, value); err != nil {
			return fmt.Errorf("set the proxies of $%s: %w", contract.ProxyFileVariable, err)
		}
	}
	return nil
}
