"""The pages about pipelines, runs and records inside Flower.

They show what :mod:`batchord.reports` says. A page chooses only how that looks. A page is a handler in a file of its
own, a template in ``templates/batchord``, and a line in :mod:`.routes`.
"""
