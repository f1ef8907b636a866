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

// Variables are environment variables that a person gives to movers. A pointer to Variables is a flag's value.
// Nothing ever shows the values of the variables.
type Variables struct {
	values map[string]string
	faults []error
}

// String, Set and Type make a pointer to Variables a pflag.Value.
func (v *Variables) String() string { return strings.Join(slices.Sorted(maps.Keys(v.values)), ",") }

// Set adds one variable. If something is wrong with it, Faults says so later, because the error of a flag would show the whole value.
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

// Faults say what is wrong with variables that Set has therefore not added.
func (v *Variables) Faults() []error { return v.faults }

// Type names what the flag takes.
func (v *Variables) Type() string { return "NAME=VALUE" }

// With returns a copy of v with others added. If both have a variable, the value in others counts.
func (v Variables) With(others map[string]string) Variables {
	all := map[string]string{}
	maps.Copy(all, v.values)
	maps.Copy(all, others)
	return Variables{values: all, faults: v.faults}
}

// Give adds to a mover's environment the variables in v. If the mover reaches the bucket at the same place as this process,
// Give also adds this process's proxies, which it reads with getenv. It leaves out settings that contain a password, and
// returns them as the content of the mover's file contract.Proxies. The content is empty if the mover needs no such file.
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

// ownProxies are the proxies of this process that other machines can reach, too.
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
		return map[string]string{} // it means nothing without a proxy
	}
	return settings
}

// onlyHere reports whether a host is this machine, or empty.
func onlyHere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// TakeProxies sets those proxies of this process that contain a password. It reads them from the file that
// contract.ProxyFileVariable names. Call it before anything asks for a proxy.
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
