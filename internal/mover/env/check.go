package env

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Proxies are the variables by which programs find their proxies. Programs also read each of them in lower case.
func Proxies() []string { return []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} }

// IsProxy reports whether a variable is one of Proxies, in either case.
func IsProxy(name string) bool {
	return slices.Contains(Proxies(), strings.ToUpper(name)) && (name == strings.ToUpper(name) || name == strings.ToLower(name))
}

// Check says what is wrong with a variable that a person wants to give to movers. Everybody who may read pods
// can read the environment of a pod, so nothing secret belongs there. The error does not contain the value.
func Check(name, value string) error {
	secret := regexp.MustCompile(`(?i)secret|passw|token|credential|private|(api|access).?key|_key$`)
	switch {
	case !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`).MatchString(name):
		return fmt.Errorf("%.60q is not the name of an environment variable; write for example TZ=UTC", name)
	case strings.HasPrefix(name, "AWS_"), strings.HasPrefix(name, "STSBACKUP_"):
		return fmt.Errorf("stsbackup itself sets %s: movers get the repository, its credentials and limits from the command's own settings", name)
	case secret.MatchString(name):
		return fmt.Errorf("%s looks like a secret, and everybody who may read pods can read a mover's environment", name)
	case strings.ContainsAny(value, "\x00\n\r") || len(value) > 4096:
		return fmt.Errorf("the value of %s is not one line of at most 4096 bytes", name)
	case !IsProxy(name) && HasPassword(value):
		return fmt.Errorf("%s holds a password, and everybody who may read pods can read a mover's environment", name)
	case IsProxy(name):
		return checkProxy(name, value)
	default:
		return nil
	}
}

// checkProxy says what is wrong with the address of a proxy.
func checkProxy(name, value string) error {
	if value == "" || strings.EqualFold(name, "NO_PROXY") {
		return nil
	}
	if parsed, err := parseProxy(value); err != nil || parsed.Host == "" {
		return fmt.Errorf("%s is not a proxy's address; write for example http://proxy.example.com:3128", name)
	}
	return nil
}

// HasPassword reports whether a value is a URL with a user name or a password in it.
func HasPassword(value string) bool {
	parsed, err := parseProxy(value)
	if err != nil {
		return strings.Contains(value, "@") // a value that cannot be parsed may contain one
	}
	return parsed.User != nil
}

// parseProxy reads a proxy's address, which may lack the scheme.
func parseProxy(value string) (*url.URL, error) {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	return url.Parse(value)
}

// ProxyHost is the host of a proxy's address; empty if there is none.
func ProxyHost(value string) string {
	parsed, err := parseProxy(value)
	if err != nil {
		return ""
	}
	return parsed.Hostname()
}

// ProxyFile writes settings in the form that ParseProxyFile reads.
func ProxyFile(settings map[string]string) []byte {
	var text strings.Builder
	for _, name := range Proxies() {
		if value := settings[name]; value != "" {
			fmt.Fprintf(&text, "%s=%s\n", name, value)
		}
	}
	return []byte(text.String())
}

// ParseProxyFile reads lines such as HTTPS_PROXY=http://user:password@proxy.example.com:3128. The error does not quote them.
func ParseProxyFile(text []byte) (map[string]string, error) {
	settings := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found || !IsProxy(name) {
			return nil, errors.New(
				"it must have lines such as HTTPS_PROXY=http://user:password@proxy.example.com:3128, with HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
			)
		}
		if err := checkProxy(name, value); err != nil {
			return nil, err
		}
		settings[strings.ToUpper(name)] = value
	}
	return settings, nil
}
