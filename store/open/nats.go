package open

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store/jetstream"
)

// errNATSForm describes the form of a URL of NATS.
const errNATSForm = mistake("it is nats://USER:PASSWORD@HOST:PORT,HOST:PORT/LOG: percent-encode special characters, such as / as %2F and @ as %40")

func openNATS(ctx context.Context, a *address) (Backend, error) {
	options, err := natsOptions(a)
	if err != nil {
		return nil, err
	}
	servers, log, err := natsServers(a)
	if err != nil {
		return nil, err
	}
	if log != "" {
		options = append(options, jetstream.WithLog(log))
	}
	if err := a.unknown(); err != nil {
		return nil, err
	}
	st, err := jetstream.Open(ctx, servers, options...)
	if err != nil {
		return nil, err // not st, which would be a non-nil interface that holds nil
	}
	return st, nil
}

// natsServers returns the servers of a, each with the user, in the form of the NATS
// client, and the name of the log.
func natsServers(a *address) (servers, log string, err error) {
	place := withoutUser(a.rest)
	if !onHosts.MatchString(place) {
		return "", "", errNATSForm
	}
	place = strings.TrimPrefix(place, "//")
	user := strings.TrimSuffix(strings.TrimPrefix(a.rest, "//"), place)
	user = strings.ReplaceAll(user, ",", "%2C") // would end the URL of a server
	hosts, log, _ := strings.Cut(place, "/")
	secure, err := a.takeBool("tls")
	if err != nil {
		return "", "", err
	}
	scheme := "nats://"
	if secure {
		scheme = "tls://"
	}
	var all []string
	for host := range strings.SplitSeq(hosts, ",") {
		server := scheme + user + host
		if u, err := url.Parse(server); err != nil || u.Hostname() == "" {
			return "", "", errNATSForm
		}
		all = append(all, server)
	}
	return strings.Join(all, ","), log, nil
}

// natsOptions returns the options for our settings.
func natsOptions(a *address) ([]jetstream.Option, error) {
	values, err := a.takeAll("replicas", "ids-for", "creds", "ca")
	if err != nil {
		return nil, err
	}
	var options []jetstream.Option
	if a.readOnly {
		options = append(options, jetstream.WithoutCreate())
	}
	if replicas := values[0]; replicas != "" {
		n, err := strconv.Atoi(replicas)
		if err != nil || n <= 0 {
			return nil, mistakef("replicas must be 1, 3 or 5, not %q", replicas)
		}
		options = append(options, jetstream.WithReplicas(n))
	}
	if idsFor := values[1]; idsFor != "" {
		d, err := time.ParseDuration(idsFor)
		if err != nil || d <= 0 {
			return nil, mistakef("ids-for must be a duration such as 720h, not %q", idsFor)
		}
		options = append(options, jetstream.WithIDsFor(d))
	}
	leader, err := a.takeBool("leader-reads")
	if err != nil {
		return nil, err
	}
	if leader {
		options = append(options, jetstream.WithLeaderReads())
	}
	if file := values[2]; file != "" {
		options = append(options, jetstream.WithConnection(nats.UserCredentials(file)))
	}
	if file := values[3]; file != "" {
		options = append(options, jetstream.WithConnection(nats.RootCAs(file)))
	}
	return options, nil
}

// takeBool is take for a setting that is true or false. The default is false.
func (a *address) takeBool(name string) (bool, error) {
	value, err := a.take(name, "false")
	if err != nil {
		return false, err
	}
	yes, err := strconv.ParseBool(value)
	if err != nil {
		return false, mistakef("%s must be true or false, not %q", name, value)
	}
	return yes, nil
}
