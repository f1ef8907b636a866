package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
)

// moverProxies is the file of movers with the settings of proxies that hold a password.
const moverProxies = "proxies"

// moverEnv are environment variables of movers. It is a flag's value; what is in the variables is never shown.
type moverEnv struct {
	variables map[string]string
	fault     error
}

// String, Set and Type make moverEnv a pflag.Value.
func (e *moverEnv) String() string { return strings.Join(slices.Sorted(maps.Keys(e.variables)), ",") }

// Set adds one variable. What is wrong with it is for check to say: the error of a flag would show all of it.
func (e *moverEnv) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	err := mover.CheckEnv(name, value)
	if !found {
		err = errors.New("a variable has no =; write for example TZ=UTC")
	}
	if err != nil {
		e.fault = errors.Join(e.fault, usageErrorf("--mover-env: %w", err))
		return nil
	}
	*e = e.with(map[string]string{name: value})
	return nil
}

// check reports what is wrong with the variables.
func (e *moverEnv) check() error { return e.fault }

// Type names what the flag takes.
func (e *moverEnv) Type() string { return "NAME=VALUE" }

// with is e, where others say nothing else.
func (e *moverEnv) with(others map[string]string) moverEnv {
	all := map[string]string{}
	maps.Copy(all, e.variables)
	maps.Copy(all, others)
	return moverEnv{variables: all, fault: e.fault}
}

// environment gives a mover what was asked for, and the proxies of this process, if the mover is to reach the bucket where this process
// does. What holds a password is not among the variables, but in the file that the last result is the content of; it is empty
// if there is none.
func (e *moverEnv) environment(a *app, sameBucket bool, env map[string]string) (proxies []byte) {
	settings := map[string]string{}
	if sameBucket {
		settings = ownProxies(a)
	}
	for name, value := range e.variables {
		if mover.IsProxyVariable(name) {
			settings[strings.ToUpper(name)] = value
		} else {
			env[name] = value
		}
	}
	secret := map[string]string{}
	for name, value := range settings {
		switch {
		case value == "": // none, on purpose
		case mover.HasPassword(value):
			secret[name] = value
		default:
			env[name] = value
		}
	}
	if len(secret) == 0 {
		return nil
	}
	env[mover.ProxyFileVariable] = cluster.MoverFiles + "/" + moverProxies
	return mover.ProxyFile(secret)
}

// ownProxies are the proxies of this process that others can reach too.
func ownProxies(a *app) map[string]string {
	settings := map[string]string{}
	for _, name := range mover.ProxyVariables() {
		value := cmp.Or(a.getenv(name), a.getenv(strings.ToLower(name)))
		if value == "" || name != "NO_PROXY" && onlyHere(mover.ProxyHost(value)) {
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

// takeProxies sets the proxies of this process that hold a password, from the file that a variable names: before anything asks for
// one.
func takeProxies(getenv func(string) string, setenv func(name, value string) error) error {
	file := getenv(mover.ProxyFileVariable)
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the proxies of $%s: %w", mover.ProxyFileVariable, err)
	}
	settings, err := mover.ParseProxyFile(text)
	if err != nil {
		return fmt.Errorf("read the proxies of $%s: file %s: %w", mover.ProxyFileVariable, file, err)
	}
	for name, value := range settings {
		if err := setenv(name, value); err != nil {
			return fmt.Errorf("set the proxies of $%s: %w", mover.ProxyFileVariable, err)
		}
	}
	return nil
}
