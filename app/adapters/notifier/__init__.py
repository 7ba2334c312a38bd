"""Messages to people: by mail, chat, webhook and whatever else apprise knows."""

from app.adapters.notifier.notifier import AppriseNotifier

__all__ = ["AppriseNotifier"]
