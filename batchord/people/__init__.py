"""Messages to people: by mail, chat, webhook and whatever else apprise knows."""

from batchord.people.notifier import AppriseNotifier

__all__ = ["AppriseNotifier"]
