/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between configfs.c and configfs_node.c.
 */
#ifndef _RMAI_CONFIGFS_H
#define _RMAI_CONFIGFS_H

#include <linux/if.h>
#include <linux/inet.h>

struct config_group;
struct configfs_subsystem;

/* The longest value: an IPv6 address with the name of an interface */
#define RMAI_VALUE_MAX	(INET6_ADDRSTRLEN + 1 + IFNAMSIZ)

int rmai_value(const char *name, const char *page, char *val);
int rmai_frozen(const char *name);

void rmai_nodes_init(struct config_group *parent);
int rmai_nodes_depend(struct configfs_subsystem *subsys);
void rmai_nodes_undepend(void);

#endif /* _RMAI_CONFIGFS_H */
