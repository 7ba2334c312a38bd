"""Messages to people, by mail, chat, webhook and any other way that apprise knows."""

from batchord.people.notifier import AppriseNotifier

__all__ = ["AppriseNotifier"]
