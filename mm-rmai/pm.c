// SPDX-License-Identifier: GPL-2.0
/*
 * A node that is online does not go to sleep: others count on what it stores, and
 * would take it for dead. Whoever wants it to sleep takes it offline first.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/suspend.h>

#include "internal.h"

static int rmai_pm_notify(struct notifier_block *nb, unsigned long action, void *unused)
{
	struct rmai_cluster *rc;

	switch (action) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		break;
	default:
		return NOTIFY_DONE;
	}
	rc = rmai_cluster_get_main();
	if (!rc)
		return NOTIFY_DONE;
	pr_warn_ratelimited("node %u is online and cannot be suspended: see rmaictl leave\n",
			    rc->self);
	rmai_cluster_put(rc);
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block rmai_pm_nb = {
	.notifier_call = rmai_pm_notify,
};

static int __init rmai_pm_init(void)
{
	return register_pm_notifier(&rmai_pm_nb);
}
late_initcall(rmai_pm_init);
