// SPDX-License-Identifier: GPL-2.0
/*
 * A node's configuration, from options and from a file:
 *
 *	cluster = rmai
 *	pool_bytes = 48G
 *	[node 1]
 *	addr = 10.0.0.1
 *	role = memory
 *
 * Names are those of the files in configfs. What is checked here are mistakes
 * that would otherwise show up half way; the kernel has the last word.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmaictl.h"

const struct conf_setting conf_settings[] = {
	{ "node_id",		"id of this node, 1 to 64" },
	{ "cluster",		"name, the same on all nodes" },
	{ "window_start",	"first address of the cluster's window" },
	{ "window_size",	"bytes of it" },
	{ "pool_bytes",		"memory that a memory node offers" },
	{ "loss_tmo_ms",	"after this an unreachable node counts as lost" },
	{ "heartbeat_ms",	"peers are asked for a sign of life this often" },
	{ "dead_ms",		"a silent peer's connection is given up" },
	{ "on_loss",		"block or sigbus" },
	{ "quarantine_ms",	"freed addresses rest this long" },
	{ "cache_bytes",	"replicas that this node keeps at most" },
	{ "lease_ms",		"for what is granted by a home that is silent" },
	{ "holdoff_us",		"what was granted is kept this long" },
	{ NULL, NULL }
};

static_assert(ARRAY_SIZE(conf_settings) == CONF_SETTINGS, "as declared");

static char why[512];

#define WRONG(...) (snprintf(why, sizeof(why), __VA_ARGS__), (const char *)why)

/* A whole number in a range */
static bool number(const char *s, int min, int max, int *n)
{
	char *end;
	long v;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || *end || v < min || v > max)
		return false;
	*n = v;
	return true;
}

const char *conf_set(struct conf *conf, const char *name, const char *value)
{
	uint64_t bytes;
	size_t i;
	int n;

	for (i = 0; conf_settings[i].name; i++)
		if (!strcmp(conf_settings[i].name, name))
			break;
	if (!conf_settings[i].name)
		return WRONG("there is no setting '%s'", name);
	if (!*value || strlen(value) >= sizeof(conf->set[i]))
		return WRONG("%s needs a value: %s", name, conf_settings[i].help);
	if (strstr(name, "_ms") && !number(value, 0, 86400000, &n))
		return WRONG("%s '%s' is not a number of milliseconds up to a day",
			     name, value);
	if (!strcmp(name, "node_id") && !number(value, 1, NODES, &n))
		return WRONG("node id '%s' is not a number from 1 to %d", value,
			     NODES);
	if (!strcmp(name, "on_loss") && strcmp(value, "block") &&
	    strcmp(value, "sigbus"))
		return WRONG("on_loss '%s' is neither block nor sigbus", value);
	if (!strcmp(name, "pool_bytes") || !strncmp(name, "window_", 7)) {
		if (rmai_parse_size(value, &bytes))
			return WRONG("%s '%s' is not a size such as 512M or 48G",
				     name, value);
		/* The kernel takes no fractions */
		snprintf(conf->set[i], sizeof(conf->set[i]), "%llu",
			 (unsigned long long)bytes);
		return NULL;
	}
	copy_value(conf->set[i], sizeof(conf->set[i]), value);
	return NULL;
}

static bool is_addr(const char *s)
{
	unsigned char buf[sizeof(struct in6_addr)];
	char bare[64];

	snprintf(bare, sizeof(bare), "%s", s);
	bare[strcspn(bare, "%")] = '\0';	/* scope of a link-local one */
	return inet_pton(AF_INET, s, buf) == 1 ||
	       inet_pton(AF_INET6, bare, buf) == 1;
}

const char *conf_node_set(struct conf_node *node, const char *name,
			  const char *value)
{
	if (!strcmp(name, "addr")) {
		if (strlen(value) >= sizeof(node->addr) || !is_addr(value))
			return WRONG("node %d: '%s' is not an IPv4 or IPv6 address",
				     node->id, value);
		copy_value(node->addr, sizeof(node->addr), value);
	} else if (!strcmp(name, "port")) {
		if (!number(value, 1, 65535, &node->port))
			return WRONG("node %d: port '%s' is not a number from 1 to 65535",
				     node->id, value);
	} else if (!strcmp(name, "role")) {
		if (!strcmp(value, "memory+compute") || !strcmp(value, "both"))
			value = "memory,compute";
		if (strcmp(value, "memory") && strcmp(value, "compute") &&
		    strcmp(value, "memory,compute"))
			return WRONG("node %d: role '%s' is not memory, compute or memory+compute",
				     node->id, value);
		copy_value(node->role, sizeof(node->role), value);
	} else if (!strcmp(name, "transport")) {
		if (strcmp(value, "rdma") && strcmp(value, "loop"))
			return WRONG("node %d: transport '%s' is neither rdma nor loop",
				     node->id, value);
		copy_value(node->transport, sizeof(node->transport), value);
	} else {
		return WRONG("node %d: there is no '%s'; addr, port, role and transport are",
			     node->id, name);
	}
	return NULL;
}

/* ADDR, ADDR:PORT or [ADDR]:PORT; an IPv6 address has colons of its own */
static const char *node_addr(struct conf_node *node, char *s)
{
	char *colon = strrchr(s, ':'), *end;
	const char *wrong;

	if (*s == '[') {
		end = strchr(++s, ']');
		if (!end || (end[1] && end[1] != ':'))
			return WRONG("node %d: '[%s' is not [ADDRESS] or [ADDRESS]:PORT",
				     node->id, s);
		colon = end[1] ? end + 1 : NULL;
		*end = '\0';
	} else if (colon && strchr(s, ':') != colon) {
		colon = NULL;
	}
	if (colon) {
		*colon = '\0';
		wrong = conf_node_set(node, "port", colon + 1);
		if (wrong)
			return wrong;
	}
	return conf_node_set(node, "addr", s);
}

const char *conf_node_option(struct conf *conf, const char *arg)
{
	char buf[256], *s = buf, *eq, *part;
	struct conf_node *node;
	const char *wrong;
	int id;

	if (strlen(arg) >= sizeof(buf))
		return WRONG("node '%.20s...' is too long", arg);
	copy_value(buf, sizeof(buf), arg);
	eq = strchr(s, '=');
	if (!eq)
		return WRONG("node '%s' is not ID=ADDR[:PORT][,role=...][,transport=...]",
			     arg);
	*eq = '\0';
	if (!number(s, 1, NODES, &id))
		return WRONG("node id '%s' is not a number from 1 to %d", s, NODES);
	node = &conf->nodes[id - 1];
	if (node->id)
		return WRONG("node %d is given twice", id);
	node->id = id;
	s = eq + 1;
	part = strsep(&s, ",");
	if (*part) {
		wrong = node_addr(node, part);
		if (wrong)
			return wrong;
	}
	while ((part = strsep(&s, ","))) {
		eq = strchr(part, '=');
		if (!eq)
			return WRONG("node %d: '%s' is not NAME=VALUE", id, part);
		*eq = '\0';
		wrong = conf_node_set(node, part, eq + 1);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static char *strip(char *s)
{
	size_t len;

	while (isspace((unsigned char)*s))
		s++;
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

/* "[node 3]" or "[rmai]"; *node: NULL for the latter */
static const char *begin_section(struct conf *conf, char *s, struct conf_node **node)
{
	size_t len = strlen(s);
	int id;

	if (s[len - 1] != ']')
		return WRONG("'%s' has no ']'", s);
	s[len - 1] = '\0';
	s = strip(s + 1);
	*node = NULL;
	if (!strcmp(s, "rmai"))
		return NULL;
	if (strncmp(s, "node", 4) || !isspace((unsigned char)s[4]))
		return WRONG("section '%s' is neither [rmai] nor [node ID]", s);
	if (!number(strip(s + 4), 1, NODES, &id))
		return WRONG("node id '%s' is not a number from 1 to %d",
			     strip(s + 4), NODES);
	*node = &conf->nodes[id - 1];
	if ((*node)->id)
		return WRONG("node %d is given twice", id);
	(*node)->id = id;
	return NULL;
}

static const char *conf_line(struct conf *conf, char *line,
			     struct conf_node **node)
{
	char *eq;

	line[strcspn(line, "#;")] = '\0';
	line = strip(line);
	if (!*line)
		return NULL;
	if (*line == '[')
		return begin_section(conf, line, node);
	eq = strchr(line, '=');
	if (!eq)
		return WRONG("'%s' is not NAME = VALUE", line);
	*eq = '\0';
	if (*node)
		return conf_node_set(*node, strip(line), strip(eq + 1));
	return conf_set(conf, strip(line), strip(eq + 1));
}

const char *conf_file(struct conf *conf, const char *path)
{
	struct conf_node *node = NULL;
	const char *wrong = NULL;
	char *line = NULL;
	static char where[sizeof(why) + 256];
	size_t size = 0;
	int nr = 0;
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return WRONG("%s: %s", path, strerror(errno));
	while (!wrong && getline(&line, &size, f) > 0) {
		nr++;
		wrong = conf_line(conf, line, &node);
	}
	if (!wrong && ferror(f)) {
		snprintf(where, sizeof(where), "%.250s: %s", path,
			 strerror(errno));
		wrong = where;
	} else if (wrong) {
		snprintf(where, sizeof(where), "%.240s:%d: %s", path, nr, wrong);
		wrong = where;
	}
	free(line);
	fclose(f);
	return wrong;
}

static bool is_local(const struct ifaddrs *ifa, const char *addr)
{
	unsigned char want[sizeof(struct in6_addr)];
	int family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	char bare[64];

	snprintf(bare, sizeof(bare), "%s", addr);
	bare[strcspn(bare, "%")] = '\0';
	if (inet_pton(family, bare, want) != 1)
		return false;
	for (; ifa; ifa = ifa->ifa_next) {
		const struct sockaddr *sa = ifa->ifa_addr;

		if (!sa || sa->sa_family != family)
			continue;
		if (family == AF_INET ?
		    !memcmp(&((const struct sockaddr_in *)sa)->sin_addr, want,
			    sizeof(struct in_addr)) :
		    !memcmp(&((const struct sockaddr_in6 *)sa)->sin6_addr, want,
			    sizeof(struct in6_addr)))
			return true;
	}
	return false;
}

int conf_guess_id(const struct conf *conf, const char **whynot)
{
	struct ifaddrs *ifa;
	int i, id = 0;

	if (getifaddrs(&ifa)) {
		*whynot = WRONG("%s", strerror(errno));
		return 0;
	}
	*whynot = WRONG("no node's address is one of this machine's");
	for (i = 0; i < NODES; i++) {
		if (!conf->nodes[i].id || !is_local(ifa, conf->nodes[i].addr))
			continue;
		if (id) {
			*whynot = WRONG("the addresses of nodes %d and %d are both this machine's",
					id, i + 1);
			id = 0;
			break;
		}
		id = i + 1;
	}
	freeifaddrs(ifa);
	return id;
}
